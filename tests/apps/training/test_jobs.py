"""Training jobs as processes: their life, the line, their end, and a manager that finds what an earlier one left."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from helpers import stand_in_training

from amd_das.errors import TrainingError
from amd_das_app.errors import BusyError
from amd_das_app.training.job_record import Job, find_process, last_lines
from amd_das_app.training.jobs import KEPT, MAX_WAITING, JobManager
from amd_das_app.training.reports import read_stats


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[JobManager]:
    manager = JobManager(tmp_path / "runs", stop_seconds=10)
    manager.start()
    yield manager
    manager.close()


def stand_in(manager: JobManager, manner: str) -> Callable[[Path], Sequence[str]]:
    script = str(stand_in_training.__file__)
    return lambda progress: [
        sys.executable, "-I", script, manner, "--workdir", str(manager.folder), "--progress-file", str(progress)
    ]  # fmt: skip


def submit(manager: JobManager, manner: str, model: str = "amd_das", **more: object) -> Job:
    return manager.submit(model, {"preset": "smoke"}, stand_in(manager, manner), **more)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_counting(manager: JobManager, job: Job) -> Callable[[], bool]:
    return lambda: manager.progress_of(job).get("done", 0) > 0


def test_a_job_runs_to_its_end_and_its_record_says_so(manager: JobManager) -> None:
    job = submit(manager, "quick", about="preset smoke, phantom source")
    assert job.status == "RUNNING"
    assert manager.wait(job, 20)
    record = manager.record(job)
    assert record.keys() == {"id", "status", "request", "start_ts", "end_ts", "details", "progress"}
    assert (record["status"], record["request"]) == ("DONE", {"model": "amd_das", "preset": "smoke"})
    assert record["details"] == [
        "preset smoke, phantom source",
        "working as quick, niceness 10",
        "done; model version 20260101-abcdef12 is published",
    ]
    stats = read_stats(manager.folder, "amd_das")
    assert (stats["epoch"], stats["total_epochs"], stats["status"]) == (100, 100, "DONE")
    assert stats["total_time"].startswith("0:00:0")
    assert read_stats(manager.folder, "matching")["total_time"] == "0:00:00"


def test_progress_reaches_the_record_the_statistics_and_the_log(
    manager: JobManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job = submit(manager, "slow")
    wait_for(is_counting(manager, job))
    wait_for(lambda: read_stats(manager.folder, "amd_das").get("stage_epoch", 0) > 0)
    stats = read_stats(manager.folder, "amd_das")
    assert (stats["epoch"], stats["percent"], stats["stage"]) == (40, 40.0, "synthesis")
    assert (stats["stage_total_epochs"], stats["losses"], stats["seconds_left"]) == (10_000, {"cycle": 0.125}, 90.0)
    assert "total_time" not in stats
    said = "40 %; step 4 of 7, synthesis: "
    assert manager.record(job)["details"][-1].startswith(said)
    assert manager.record(job)["details"][-1].endswith("of 10000; cycle 0.125; 0:01:30 left in this step")
    assert any(said in message for message in caplog.messages)


def test_stop_ends_the_job_gently_and_drops_those_in_line(manager: JobManager) -> None:
    job = submit(manager, "slow")
    waiting = submit(manager, "slow", "matching", enqueue=True)
    assert manager.record(waiting)["details"][-1] == "waiting for amd_das to end"
    wait_for(is_counting(manager, job))
    assert manager.stop() is job
    assert (job.status, waiting.status) == ("STOPPED", "STOPPED")
    assert "continues where it was" in job.note
    assert (manager.folder / "kept").exists()
    assert manager.stop() is None

    again = submit(manager, "slow")
    wait_for(is_counting(manager, again))
    assert manager.progress_of(again)["done"] > int((manager.folder / "kept").read_text())


def test_one_at_a_time_in_order(manager: JobManager) -> None:
    first = submit(manager, "slow")
    with pytest.raises(BusyError, match=r"amd_das is training .*enqueue=true"):
        submit(manager, "quick", "matching")
    second, third = (submit(manager, "quick", name, enqueue=True) for name in ("matching", "synthesis"))
    assert manager.waiting == [second, third]
    assert manager.shown is first
    wait_for(is_counting(manager, first))
    process = find_process(first)
    assert process is not None
    process.terminate()
    assert manager.wait(third, 20)
    assert [job.status for job in manager.jobs] == ["STOPPED", "DONE", "DONE"]
    assert first.ended <= second.began <= second.ended <= third.began  # type: ignore[operator]
    assert manager.shown is third


def test_the_line_has_an_end(manager: JobManager) -> None:
    submit(manager, "slow")
    for _ in range(MAX_WAITING):
        submit(manager, "slow", enqueue=True)
    with pytest.raises(BusyError, match="in line"):
        submit(manager, "slow", enqueue=True)


def test_a_failure_is_said_and_spares_the_others_of_its_group(manager: JobManager) -> None:
    busy = submit(manager, "slow", "synthesis")
    failing = submit(manager, "fail", group="all", enqueue=True)
    behind = submit(manager, "quick", "matching", group="all", enqueue=True)
    alone = submit(manager, "quick", "segmentation", enqueue=True)
    wait_for(is_counting(manager, busy))
    find_process(busy).terminate()  # type: ignore[union-attr]
    assert manager.wait(alone, 20)
    assert (failing.status, failing.note) == ("ERROR", "only 3 slices; expected 100 at least")
    assert (behind.status, behind.note) == ("STOPPED", "not tried, because amd_das did not finish")
    assert manager.record(failing)["details"][1] == "error: only 3 slices; expected 100 at least"
    assert alone.status == "DONE"
    assert manager.shown is alone


def test_the_last_lines_of_a_log_hold_a_progress_bar_once(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"begun\n\r 1 %\r 2 %\r    \rhalved \xff\r\n\n\r 3 %\r 4 %")
    assert last_lines(log, 20) == ["begun", "halved \ufffd", " 4 %"]
    assert last_lines(log, 1) == [" 4 %"]
    assert last_lines(tmp_path / "none", 20) == []


@pytest.mark.parametrize(
    ("manner", "expected"), [("crash", "signal 9 and without a word"), ("nonsense", "exit status 1")]
)
def test_a_process_that_says_nothing_is_an_error_with_its_status(
    manager: JobManager, manner: str, expected: str
) -> None:
    job = manager.submit("amd_das", {}, lambda progress: [sys.executable, "-c", f"exit(1) #{progress}"])
    if manner == "crash":
        manager.wait(job, 20)
        job = submit(manager, manner)
    assert manager.wait(job, 20)
    assert job.status == "ERROR"
    assert expected in job.note


def test_a_command_that_cannot_be_started_is_an_error(manager: JobManager) -> None:
    job = manager.submit("amd_das", {}, lambda progress: ["/nowhere/python"])
    assert (job.status, manager.running) == ("ERROR", None)
    assert "could not be started" in job.note


def test_a_deaf_job_is_killed_with_its_children(tmp_path: Path) -> None:
    manager = JobManager(tmp_path, stop_seconds=0.2)
    job = submit(manager, "deaf")
    wait_for(is_counting(manager, job))
    child = psutil.Process(int(next(line for line in manager.record(job)["details"] if "child" in line).split()[1]))
    assert manager.stop() is job
    assert job.status == "STOPPED"
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_closing_stops_the_job(tmp_path: Path) -> None:
    manager = JobManager(tmp_path, stop_seconds=10)
    manager.start()
    job = submit(manager, "slow")
    wait_for(is_counting(manager, job))
    manager.close()
    assert job.status == "STOPPED"
    assert find_process(job) is None


@pytest.fixture
def left(tmp_path: Path) -> Iterator[tuple[JobManager, Job, Job]]:
    """A manager that was thrown away with a job at work and one in line; both are only on disk from here on."""
    manager = JobManager(tmp_path, stop_seconds=10)
    job = submit(manager, "slow")
    waiting = submit(manager, "slow", "matching", enqueue=True)
    wait_for(is_counting(manager, job))
    yield manager, job, waiting
    if process := find_process(job):
        process.kill()
    manager._child.wait()  # type: ignore[union-attr]


def test_the_next_manager_finds_the_job_at_work_and_can_stop_it(
    left: tuple[JobManager, Job, Job], caplog: pytest.LogCaptureFixture
) -> None:
    old, job, waiting = left
    manager = JobManager(old.folder, stop_seconds=10)
    manager.find()
    found = manager.running
    assert found is not None
    assert (found.id, found.pid, found.status) == (job.id, job.pid, "RUNNING")
    assert manager.record(found)["progress"]["step"] == "synthesis"
    assert f"found the training of amd_das at work, process {job.pid}" in caplog.text
    dropped = manager.jobs[1]
    assert (dropped.id, dropped.status) == (waiting.id, "STOPPED")
    assert "before its turn" in dropped.note
    with pytest.raises(BusyError):
        submit(manager, "quick")
    assert manager.stop() is found
    assert found.status == "STOPPED"
    assert find_process(job) is None


def test_the_end_of_a_found_job_is_noticed_by_what_it_said_last(left: tuple[JobManager, Job, Job]) -> None:
    old, job, _ = left
    manager = JobManager(old.folder, stop_seconds=10)
    manager.find()
    os.kill(job.pid, 15)  # type: ignore[arg-type]
    assert manager.wait(manager.jobs[0], 20)
    assert manager.jobs[0].status == "STOPPED"


@pytest.mark.parametrize(
    ("said", "status", "note"),
    [
        ({"status": "done", "version": None}, "DONE", "done"),
        ({"status": "stopped"}, "STOPPED", "continues where it was"),
        ({"status": "error", "error": "no room"}, "ERROR", "no room"),
        ({"status": "running"}, "ERROR", "ended while no server watched"),
        ({}, "ERROR", "ended while no server watched"),
    ],
)
def test_a_job_that_ended_unwatched_is_judged_by_what_it_said_last(
    left: tuple[JobManager, Job, Job], said: dict[str, object], status: str, note: str
) -> None:
    old, job, _ = left
    find_process(job).kill()  # type: ignore[union-attr]
    old._child.wait()  # type: ignore[union-attr]
    (old.folder_of(job) / "progress.json").write_text(json.dumps(said))
    manager = JobManager(old.folder, stop_seconds=10)
    manager.find()
    assert manager.jobs[0].status == status
    assert note in manager.jobs[0].note
    assert manager.running is None


def test_a_process_that_got_the_number_since_is_not_the_job(left: tuple[JobManager, Job, Job]) -> None:
    old, job, _ = left
    record = old.folder_of(job) / "job.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": os.getpid()}))
    manager = JobManager(old.folder, stop_seconds=10)
    manager.find()
    assert (manager.running, manager.jobs[0].status) == (None, "ERROR")


def test_a_damaged_record_is_passed_over(left: tuple[JobManager, Job, Job]) -> None:
    old, _, waiting = left
    (old.folder_of(waiting) / "job.json").write_bytes(b"")
    manager = JobManager(old.folder, stop_seconds=10)
    manager.find()
    assert len(manager.jobs) == 1


def test_only_the_latest_records_are_kept(tmp_path: Path) -> None:
    manager = JobManager(tmp_path, stop_seconds=10)
    jobs = [manager.submit("amd_das", {}, lambda progress: ["/nowhere/python"]) for _ in range(KEPT + 3)]
    assert list(manager.jobs) == jobs[2:]
    assert len(list((tmp_path / "jobs").iterdir())) == KEPT + 1


def test_a_folder_that_cannot_be_written_refuses_the_job(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    manager = JobManager(tmp_path / "runs", stop_seconds=10)
    with pytest.raises(TrainingError, match="AMD_DAS_RUNS_DIR"):
        submit(manager, "quick")
    assert manager.jobs == ()
