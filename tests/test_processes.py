"""Work in several processes: in order, stoppable, and no process lost without a word or left behind."""

import contextlib
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from amd_das import processes as module
from amd_das.errors import ProcessLostError
from amd_das.processes import in_order, processors


class AskedError(Exception):
    """Somebody asked to stop."""


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_and_progress_is_told(processes: int) -> None:
    told: list[int] = []
    things = list(range(7, 0, -1))
    assert list(in_order(math.factorial, things, processes, told.append)) == [math.factorial(n) for n in things]
    assert told == sorted(told)
    assert set(told) <= set(range(7))
    assert multiprocessing.active_children() == []
    assert list(in_order(math.factorial, [], processes)) == []


def test_things_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    class Things(list[int]):
        def __iter__(self) -> Iterator[int]:
            for number in super().__iter__():
                taken.append(number)
                yield number

    results = in_order(math.factorial, Things(range(100)), 2)
    assert next(results) == 1
    assert len(taken) <= 5
    results.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_check_raises_ends_the_work(processes: int) -> None:
    def check(done: int) -> None:
        if done == 2:
            raise AskedError

    results = in_order(time.sleep, [0.0, 0.0, 0.2, 0.2, 0.2, 0.2], processes, check)
    assert [next(results), next(results)] == [None, None]
    with pytest.raises(AskedError):
        next(results)
    assert multiprocessing.active_children() == []


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="factorial"):
        list(in_order(math.factorial, [3, -1, 3], 2))


def test_a_process_ended_from_outside_is_told() -> None:
    with pytest.raises(ProcessLostError, match="ended from outside"):
        list(in_order(os._exit, [1, 1], 2))


def test_a_stop_that_ended_the_processes_too_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_SECONDS", 60.0)  # so the check is asked once before the process is lost
    asked = iter([False, True])

    def check(done: int) -> None:
        if next(asked):
            raise AskedError

    with pytest.raises(AskedError):
        list(in_order(os._exit, [1, 1], 2, check))


def test_there_is_a_processor() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pipeline_stopped_with_all_its_processes_while_it_renders_ends(number: int, tmp_path: Path) -> None:
    """A terminal sends Ctrl+C to every process of the group, `timeout` and service managers SIGTERM."""
    command = [sys.executable, "-m", "amd_das.cli", "pipeline", "--preset", "shipped", "--until", "target"]
    folders = ["--workdir", str(tmp_path / "work"), "--model-dir", str(tmp_path / "model"), "--processes", "2"]
    with subprocess.Popen(command + folders, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not list(tmp_path.rglob("records/*.json")) and time.monotonic() < deadline:
                time.sleep(0.2)
            os.killpg(process.pid, number)
            _, said = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 130, said
    assert "phantom heads; start again to continue" in said
    deadline = time.monotonic() + 10
    while left := _alive_in(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _alive_in(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
