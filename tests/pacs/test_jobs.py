"""Jobs are first come, first served, made once, and survive the death of their process."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from amd_das.errors import ConfigError, NotFoundError
from amd_das.pacs.job import PacsJob
from amd_das.pacs.jobs import MAX_INTERRUPTIONS, JobStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite")
    yield store
    store.close()


def submit(store: JobStore, series: str, /, *, version: str = "v1", force: bool = False, **options: object) -> PacsJob:
    return store.submit("1.2", series, version, options=options, force=force)[0]


def test_the_same_series_version_and_options_are_one_job_unless_forced(store: JobStore) -> None:
    job, new = store.submit("1.2", "1.2.3", "v1", options={"store": True, "formats": ["seg", "sr"]})
    assert new
    assert (job.state, job.attempts, job.error, job.result) == ("queued", 0, "", None)
    assert store.submit("1.2", "1.2.3", "v1", options={"formats": ["seg", "sr"], "store": True}) == (job, False)
    others = {
        submit(store, "1.2.4", store=True).id,
        submit(store, "1.2.3", version="v2", store=True).id,
        submit(store, "1.2.3", store=False).id,
        submit(store, "1.2.3", store=False, force=True).id,
    }
    assert len(others - {job.id}) == 4
    assert submit(store, "1.2.3", store=False).id != submit(store, "1.2.3", store=False, force=True).id


def test_a_done_job_is_the_answer_to_the_same_question(store: JobStore) -> None:
    submit(store, "1.2.3")
    claimed = store.claim()
    assert claimed is not None
    store.finish(claimed.id, {"volume_ml": 12.5}, model_version="v2")
    again = submit(store, "1.2.3")
    assert (again.id, again.state, again.result, again.model_version) == (claimed.id, "done", {"volume_ml": 12.5}, "v2")
    assert store.amend(again.id, delivered=3).result == {"volume_ml": 12.5, "delivered": 3}


def test_first_come_first_served_and_a_job_put_back_keeps_its_place(store: JobStore) -> None:
    ids = [submit(store, f"1.2.{number}").id for number in range(4)]
    assert [store.position(job_id) for job_id in ids] == [1, 2, 3, 4]
    first = store.claim()
    assert first is not None and first.id == ids[0] and first.attempts == 1 and first.started is not None
    assert [store.position(job_id) for job_id in ids] == [None, 1, 2, 3]
    assert store.release(ids[0]).attempts == 0
    assert store.position(ids[0]) == 1
    store.claim()
    store.postpone(ids[0], "the PACS\nis down", 60.0, code="pacs_unreachable")
    second = store.claim()
    assert second is not None and second.id == ids[1]
    waiting = store.get(ids[0])
    assert (waiting.state, waiting.error, waiting.error_code) == ("queued", "the PACS is down", "pacs_unreachable")
    store.postpone(ids[0], "the PACS is down", 0.0)
    third = store.claim()
    assert third is not None and third.id == ids[0] and third.error == ""


def test_failure_is_kept_with_its_reason(store: JobStore) -> None:
    job = submit(store, "1.2.3")
    failed = store.fail(job.id, "not a head CT", code="not_head_ct")
    assert (failed.state, failed.error, failed.error_code) == ("failed", "not a head CT", "not_head_ct")
    assert failed.finished is not None
    assert [one.id for one in store.list("failed")] == [job.id]
    assert store.count("failed") == 1


def test_listing_is_newest_first_filtered_and_bounded(store: JobStore) -> None:
    jobs = [store.submit("1.7" if number % 2 else "1.8", f"1.2.{number}", "v", options={})[0] for number in range(6)]
    assert [job.id for job in store.list()] == [job.id for job in reversed(jobs)]
    assert [job.series_uid for job in store.list(study_uid="1.7")] == ["1.2.5", "1.2.3", "1.2.1"]
    assert len(store.list("queued", limit=2)) == 2
    assert [job.study_uid for job in store.list(series_uid="1.2.4")] == ["1.8"]


def test_only_waiting_jobs_can_be_removed(store: JobStore) -> None:
    job = submit(store, "1.2.3")
    assert store.remove(job.id)
    with pytest.raises(NotFoundError, match="no such job"):
        store.get(job.id)
    with pytest.raises(NotFoundError):
        store.remove(job.id)
    job = submit(store, "1.2.3")
    store.claim()
    assert not store.remove(job.id)
    assert store.get(job.id).state == "running"


def test_uids_do_not_show_in_a_printed_job(store: JobStore) -> None:
    assert "1.2.3" not in repr(submit(store, "1.2.3"))


def test_old_finished_jobs_expire_and_waiting_ones_never(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite", keep_finished=2, keep_days=1.0)
    ids = [submit(store, f"1.2.{number}").id for number in range(5)]
    for job_id in ids[:4]:
        store.finish(job_id, {})
        time.sleep(0.002)
    assert store.expire() == ids[:2]
    assert {job.id for job in store.list()} == set(ids[2:])
    store.keep_seconds = 0.0
    assert set(store.expire()) == {ids[2], ids[3]}
    assert store.get(ids[4]).state == "queued"


def test_a_job_that_had_to_wait_is_remembered_by_when_it_ended(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite", keep_finished=2)
    late, *ids = [submit(store, f"1.2.{number}").id for number in range(4)]
    for job_id in (*ids, late):  # the first in the line was postponed, and is the last to end
        store.finish(job_id, {})
        time.sleep(0.002)
    assert store.expire() == ids[:2]
    assert {job.id for job in store.list()} == {late, ids[2]}


def test_threads_share_the_line_without_taking_a_job_twice(store: JobStore) -> None:
    ids = {submit(store, f"1.2.{number}").id for number in range(60)}
    taken: list[str] = []

    def work() -> None:
        while (job := store.claim()) is not None:
            taken.append(job.id)
            store.finish(job.id, {"by": threading.get_ident()})

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == 60 and set(taken) == ids
    assert store.count("done") == 60


CLAIM_AND_HANG = """
import sys, time
from pathlib import Path
from amd_das.pacs.jobs import JobStore
store = JobStore(Path(sys.argv[1]))
print(store.claim().id, flush=True)
time.sleep(60)
"""


def claim_in_a_process_and_kill_it(path: Path) -> str:
    """A process that takes a job and is killed while at it; returns the job's id."""
    process = subprocess.Popen([sys.executable, "-c", CLAIM_AND_HANG, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    claimed = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return claimed


def test_a_job_of_a_killed_process_goes_back_to_its_place(store: JobStore) -> None:
    ids = [submit(store, f"1.2.{number}").id for number in range(3)]
    assert claim_in_a_process_and_kill_it(store.path) == ids[0]
    own = store.claim()
    assert own is not None and own.id == ids[1]
    assert [job.id for job in store.interrupted()] == [ids[0]], "a job of a living process is left alone"
    assert store.requeue_interrupted() == 1
    assert store.position(ids[0]) == 1
    assert store.get(ids[1]).state == "running"
    again = store.claim()
    assert again is not None and (again.id, again.attempts) == (ids[0], 2)


def test_a_job_that_takes_its_process_with_it_every_time_fails(store: JobStore) -> None:
    job = submit(store, "1.2.3")
    for _ in range(MAX_INTERRUPTIONS):
        store.claim()
        store._database.execute("UPDATE jobs SET owner = '999999999@1.00'")
        store.requeue_interrupted()
    assert store.get(job.id).state == "failed"
    assert "5 times" in store.get(job.id).error


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    job = submit(store, "1.2.3", store=True)
    store.finish(job.id, {"volume_ml": 3.0})
    store.close()
    reopened = JobStore(tmp_path / "jobs.sqlite")
    assert reopened.get(job.id).result == {"volume_ml": 3.0}
    assert reopened.get(job.id).options == {"store": True}


def test_the_file_is_private_and_of_a_known_version(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    JobStore(path).close()
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(ConfigError, match="version 9, expected 1"):
        JobStore(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="no usable job store"):
        JobStore(path)
