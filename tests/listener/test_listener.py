"""Series in by C-STORE, results out by C-STORE: within one process, on free ports."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicom_nodes import Receiver, connect, send_series, wait_for
from helpers.heads import save_blood_detector
from helpers.running_orthanc import head_series
from pydicom.dataset import Dataset

from amd_das.errors import ConfigError
from amd_das.listener import outbox
from amd_das.listener.config import ListenConfig
from amd_das.listener.listener import Listener
from amd_das.listener.worker import BROKEN_OFF, ModelInUse
from amd_das.reading.dicom_files import series_case_id

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

Start = Callable[..., Listener]


def one_head(**options: Any) -> list[Dataset]:
    """A head with a bleed, ten slices."""
    return head_series(**options)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelInUse:
    folder = tmp_path_factory.mktemp("model")
    save_blood_detector(folder)
    return ModelInUse(folder, "cpu")


@pytest.fixture
def pacs() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture
def start(tmp_path: Path, model: ModelInUse, pacs: Receiver) -> Iterator[Start]:
    """Starts a listener on the test's spool; all are stopped in the end."""
    running: list[Listener] = []

    def make(**options: Any) -> Listener:
        settings = {"quiet_s": 0.4, "broken_quiet_s": 1.0, **options}
        config = ListenConfig(
            destination=pacs.node, allow=("ROUTER", "OTHER"), spool=tmp_path / "spool", port=0, **settings
        )
        listener = Listener(config, model)
        running.append(listener)
        listener.start()
        return listener

    yield make
    for listener in running:
        if not listener._stopping.is_set():
            listener.stop()


def all_sent(listener: Listener, jobs: int = 1) -> bool:
    finished = [job for job in listener.store.list("done") if job.result and "delivered" in job.result]
    return len(finished) == jobs and not listener.spool.results()


def test_echo_answers_known_callers_only(start: Start) -> None:
    listener = start()
    association = connect(listener.port)
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert connect(listener.port, calling="STRANGER").is_rejected
    assert connect(listener.port, called="SOMEBODY").is_rejected
    assert connect(listener.port, calling="OTHER").is_established


def test_a_series_comes_back_as_seg_sr_and_overlay(
    start: Start, pacs: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = start()
    series = one_head()
    assert send_series(listener.port, series) == [0x0000] * len(series)
    wait_for(lambda: all_sent(listener), "the result's arrival")
    assert pacs.modalities() == {"SEG": 1, "SR": 1, "OT": len(series)}
    assert pacs.received[-1].Modality == "SR", "the report comes after what it refers to"
    assert {dataset.StudyInstanceUID for dataset in pacs.received} == {series[0].StudyInstanceUID}
    assert {dataset.PatientID for dataset in pacs.received} == {"PAT-4711"}
    assert pacs.callers == {"AMDDAS"}
    (job,) = listener.store.list()
    assert job.result is not None and job.result["volume_ml"] > 1
    assert job.result["case_id"] == series_case_id(series[0].SeriesInstanceUID)
    log = caplog.text
    assert job.result["case_id"] in log
    one = series[0]
    for secret in ("Doe", "PAT-4711", one.SeriesInstanceUID, one.StudyInstanceUID, one.SOPInstanceUID):
        assert secret not in log
    assert [path.name for path in listener.spool.outgoing.iterdir()] == []


def test_files_and_folders_are_private_and_named_by_hashes(start: Start, tmp_path: Path) -> None:
    listener = start(quiet_s=30.0, broken_quiet_s=30.0)
    series = one_head()[:3]
    send_series(listener.port, series)
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".dcm"]) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert not any(series[0].SeriesInstanceUID in str(path) or "PAT-4711" in str(path) for path in files)


def test_only_ct_is_taken(start: Start) -> None:
    listener = start()
    association = connect(listener.port, classes=("1.2.840.10008.5.1.4.1.1.2", SECONDARY_CAPTURE))
    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    assert SECONDARY_CAPTURE not in accepted and "1.2.840.10008.5.1.4.1.1.2" in accepted
    association.release()


def test_an_instance_that_says_it_is_another_is_refused(start: Start) -> None:
    listener = start()
    bad = one_head()[0]
    del bad.SeriesInstanceUID
    assert send_series(listener.port, [bad]) == [0xC000]
    assert listener.arrivals.under_way == 0


def test_a_series_split_over_associations_is_one_and_duplicates_change_nothing(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",))
    series = one_head()
    send_series(listener.port, series[:4])
    send_series(listener.port, series[3:], calling="OTHER")
    wait_for(lambda: all_sent(listener), "the result's arrival")
    send_series(listener.port, series[2:7])
    wait_for(lambda: listener.arrivals.under_way == 0, "the end of quiet")
    assert len(listener.store.list()) == 1
    assert pacs.modalities() == {"SEG": 1}
    assert len(pacs.received[0].ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(series)


def test_late_slices_make_a_new_result_of_the_whole_series(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",))
    series = one_head()
    send_series(listener.port, series[:8])
    wait_for(lambda: all_sent(listener), "the first result's arrival")
    send_series(listener.port, series[8:])
    wait_for(lambda: all_sent(listener, 2), "the second result's arrival")
    counts = [len(one.ReferencedSeriesSequence[0].ReferencedInstanceSequence) for one in pacs.received]
    assert counts == [8, len(series)]
    assert len(set(pacs.uids())) == 2


def test_what_is_no_head_ct_is_put_aside_with_its_reason(start: Start, pacs: Receiver) -> None:
    listener = start()
    series = head_series(array=np.full((96, 110, 10), -1000, np.int16))
    case = series_case_id(series[0].SeriesInstanceUID)
    send_series(listener.port, series)
    wait_for(lambda: (listener.spool.refused / case).is_dir(), "the refusal")
    reason = json.loads((listener.spool.refused / case / "reason.json").read_text())
    assert reason["error"] == "not_head_ct"
    (job,) = listener.store.list("failed")
    assert job.error == reason["detail"] and job.error_code == "not_head_ct"
    assert pacs.received == []
    send_series(listener.port, series)  # once more: tried again
    wait_for(lambda: listener.store.count("failed") == 2 and not listener.spool.series(), "the same refusal")
    assert [path.name for path in listener.spool.refused.iterdir()] == [case]


def test_a_missing_slice_is_refused_and_cured_by_its_coming(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",))
    series = one_head()
    case = series_case_id(series[0].SeriesInstanceUID)
    send_series(listener.port, series[:4] + series[5:])
    wait_for(lambda: (listener.spool.refused / case).is_dir(), "the refusal")
    assert "lacks slices" in listener.store.list("failed")[0].error
    send_series(listener.port, [series[4]])
    wait_for(lambda: all_sent(listener), "the result's arrival")
    assert len(pacs.received[0].ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(series)
    assert not list(listener.spool.refused.iterdir())


def test_a_late_slice_after_the_others_are_gone_makes_no_result(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",), keep_hours=0.0)
    series = one_head()
    send_series(listener.port, series)
    wait_for(lambda: all_sent(listener), "the result's arrival")
    listener.spool.expire()
    assert listener.spool.series() == []
    send_series(listener.port, series[:1])
    wait_for(lambda: listener.store.count("failed") == 1, "the refusal")
    assert "send the whole series again" in listener.store.list("failed")[0].error
    assert len(pacs.received) == 1


def test_a_broken_connection_is_waited_for_longer_and_told(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",), broken_quiet_s=2.0)
    series = one_head()
    send_series(listener.port, series[:6], release=False)
    ended = time.monotonic()
    wait_for(lambda: listener.store.list(), "a job")
    assert time.monotonic() - ended > 1.2
    wait_for(lambda: all_sent(listener), "the result's arrival")
    (job,) = listener.store.list()
    assert job.result is not None and BROKEN_OFF in job.result["warnings"]


def test_a_sender_that_tries_again_gets_one_result_of_all(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",), broken_quiet_s=20.0)
    series = one_head()
    send_series(listener.port, series[:6], release=False)
    send_series(listener.port, series)
    wait_for(lambda: all_sent(listener), "the result's arrival", 15.0)
    (job,) = listener.store.list()
    assert job.result is not None and BROKEN_OFF not in job.result["warnings"]


def test_over_the_disk_limit_nothing_is_half_kept(start: Start, tmp_path: Path) -> None:
    listener = start(max_gb=100e3 / 2**30, quiet_s=30.0, broken_quiet_s=30.0)
    series = one_head()
    statuses = send_series(listener.port, series)
    kept = statuses.count(0x0000)
    assert 0 < kept < len(series) and set(statuses) == {0x0000, 0xA700}
    files = list((tmp_path / "spool" / "incoming").rglob("*.dcm"))
    assert len(files) == kept
    assert list((tmp_path / "spool" / "unfinished").iterdir()) == []


def test_done_series_make_room_for_new_ones(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",), max_gb=700e3 / 2**30)
    for number in range(1, 4):
        series = one_head()
        assert send_series(listener.port, series) == [0x0000] * len(series)
        wait_for(lambda number=number: all_sent(listener, number), "the result's arrival")
    assert len(listener.spool.series()) < 3


def test_too_many_series_waiting_turns_new_ones_away(start: Start) -> None:
    listener = start(max_waiting=1, quiet_s=30.0, broken_quiet_s=30.0)
    first, second = one_head(), one_head()
    assert send_series(listener.port, first[:2]) == [0x0000, 0x0000]
    assert send_series(listener.port, second[:2]) == [0xA700, 0xA700]
    assert send_series(listener.port, first[2:4]) == [0x0000, 0x0000], "what has begun may end"


def test_results_wait_for_a_destination_that_is_down_also_over_a_restart(
    start: Start, pacs: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SHORTEST_WAIT_S", 0.2)
    listener = start()
    pacs.stop()
    series = one_head()
    send_series(listener.port, series)
    wait_for(lambda: listener.store.count("done") == 1, "the segmentation")
    time.sleep(0.5)
    assert len(listener.spool.results()) == 1
    listener.stop()
    again = start()
    assert len(again.spool.results()) == 1
    pacs.start()
    wait_for(lambda: all_sent(again), "the result's arrival")
    assert len(pacs.uids()) == len(set(pacs.uids())) == 2 + len(series)
    assert len(again.store.list()) == 1


def test_a_destination_that_refuses_is_tried_again_and_does_not_hold_up_others(
    start: Start, pacs: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SHORTEST_WAIT_S", 0.2)
    listener = start(formats=("seg",))
    pacs.status = 0xA700
    send_series(listener.port, one_head())
    wait_for(lambda: listener.outbox._refusals, "a refusal")
    assert len(listener.spool.results()) == 1
    pacs.status = 0x0000
    wait_for(lambda: all_sent(listener), "the result's arrival")
    assert pacs.modalities() == {"SEG": 1}


def test_stopping_is_quick_and_the_job_under_way_is_done_after_the_next_start(start: Start, pacs: Receiver) -> None:
    listener = start(formats=("seg",))
    for _ in range(4):
        send_series(listener.port, one_head())
    wait_for(lambda: listener.store.list(), "a job")
    began = time.monotonic()
    listener.stop()
    assert time.monotonic() - began < 10
    again = start(formats=("seg",))
    wait_for(lambda: all_sent(again, 4), "all results' arrival")
    assert len(pacs.uids()) == len(set(pacs.uids())) == 4
    assert all(job.attempts == 1 for job in again.store.list())


def test_a_spool_has_one_listener(start: Start) -> None:
    start()
    with pytest.raises(ConfigError, match="another listener uses the spool"):
        start()


def test_a_port_in_use_is_told(start: Start, tmp_path: Path) -> None:
    listener = start()
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {listener.port}"):
        config = ListenConfig(
            destination=listener.config.destination, allow=("A",), spool=tmp_path / "other", port=listener.port
        )
        other = Listener(config, listener.model)
        try:
            other.start()
        finally:
            other.spool.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow": ()}, "no AE title is allowed"),
        ({"aet": "A" * 17}, "AE title"),
        ({"allow": ("A\\B",)}, "AE title"),
        ({"formats": ("nifti",)}, "formats"),
        ({"formats": ()}, "formats"),
        ({"quiet_s": 0.0}, "quiet 0 s"),
        ({"port": 70000}, "port 70000"),
        ({"max_gb": 0.0}, "max_gb"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        ListenConfig(**{"destination": Receiver().node, "allow": ("A",), "spool": tmp_path, **options})
