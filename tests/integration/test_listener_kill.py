"""The real command, killed in the middle of everything: each result arrives, and once."""

import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.dicom_nodes import Receiver, connect, send_series, wait_for
from helpers.running_listener import RunningListener
from helpers.running_orthanc import head_series
from pydicom.dataset import Dataset

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.pacs.jobs import JobStore

pytestmark = pytest.mark.integration

QUICK = ("--quiet", "0.5", "--quiet-broken", "2")
SERIES = 10
KILLED_AFTER_S = (0.3, 1.5, 3.0, 5.0)


@pytest.fixture
def pacs() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


def send_until_taken(port: int, series: list[Dataset]) -> bool:
    """As routers do: all of it again unless every instance was taken."""
    try:
        return send_series(port, series) == [0x0000] * len(series)
    except (AssertionError, OSError):
        return False


def is_delivered(spool: Path, count: int) -> bool:
    store = JobStore(spool / "jobs.sqlite")
    try:
        done = [job for job in store.list("done") if job.result and "delivered" in job.result]
        return len({job.series_uid for job in done}) == count
    finally:
        store.close()


@pytest.mark.slow
def test_killed_again_and_again_every_result_arrives_once(tmp_path: Path, model_dir: Path, pacs: Receiver) -> None:
    spool, chance = tmp_path / "spool", random.Random(1)
    waiting = {index: head_series(bleed_x=8.0 + index / 2) for index in range(SERIES)}
    sent = dict(waiting)
    for delay in KILLED_AFTER_S:
        listener = RunningListener(spool, model_dir, pacs.node, *QUICK)
        with ThreadPoolExecutor(3) as routers:
            begun = {index: routers.submit(send_until_taken, listener.port, one) for index, one in waiting.items()}
            time.sleep(delay + chance.random())
            listener.kill()
        waiting = {index: waiting[index] for index, taken in begun.items() if not taken.result()}
    listener = RunningListener(spool, model_dir, pacs.node, *QUICK)
    try:
        for one in waiting.values():
            assert send_until_taken(listener.port, one)
        wait_for(lambda: is_delivered(spool, SERIES), "every result's arrival", 240)
        wait_for(lambda: not list((spool / "outgoing").iterdir()), "an empty outbox")
    finally:
        log = listener.log
        assert listener.close() == 0, log
    kinds: dict[str, set[str]] = {}
    for dataset in pacs.received:
        kinds.setdefault(dataset.StudyInstanceUID, set()).add(dataset.SOPInstanceUID)
    slices = len(sent[0])
    assert {study: len(uids) for study, uids in kinds.items()} == {
        one[0].StudyInstanceUID: slices + 2 for one in sent.values()
    }
    twice = len(pacs.uids()) - len(set(pacs.uids()))
    assert twice <= len(KILLED_AFTER_S), "only the instance under way when it was killed may come twice"
    assert "Traceback" not in log and "Doe" not in log and "PAT-4711" not in log
    assert list((spool / "unfinished").iterdir()) == []
    assert list((spool / "refused").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop_takes_seconds(tmp_path: Path, model_dir: Path, pacs: Receiver, number: int) -> None:
    listener = RunningListener(tmp_path / "spool", model_dir, pacs.node, *QUICK)
    assert RESEARCH_NOTICE in listener.log
    send_series(listener.port, head_series())
    association = connect(listener.port)
    assert association.is_established
    began = time.monotonic()
    assert listener.close(number) == 0, listener.log
    assert time.monotonic() - began < 12
    assert "Traceback" not in listener.log
