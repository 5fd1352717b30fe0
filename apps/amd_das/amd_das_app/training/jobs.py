"""Training jobs: processes of their own, one at a time, which outlive a server that dies and are found by the next.

A job's folder holds ``job.json`` (its record), ``log.txt`` (what it prints) and ``progress.json`` (how far it is, which
the process writes). The process ends by itself, or within seconds of SIGTERM, keeping what it has done.
"""

import contextlib
import logging
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psutil

from amd_das.errors import TrainingError
from amd_das_app.errors import BusyError
from amd_das_app.training.job_record import (
    DETAIL_LINES,
    GOES_ON,
    LOG,
    PROGRESS,
    Job,
    find_process,
    last_lines,
    outcome,
    read_record,
    write_record,
)
from amd_das_app.training.progress import percent_of, read_json, sentence
from amd_das_app.training.reports import TrainReports

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
KILL_S: Final = 10.0
"""How long a killed process is waited for."""

NICENESS: Final = 10
"""Of the process: inference goes first."""

KEPT: Final = 20
"""Records of ended jobs that are kept."""

MAX_WAITING: Final = 16
"""Most jobs in line."""


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


class JobManager:
    """The jobs of one server; any thread may call."""

    def __init__(self, folder: Path, *, stop_seconds: float) -> None:
        """``folder`` is this server's own; a job still there ``stop_seconds`` after SIGTERM is killed."""
        self.folder = folder
        self.stop_seconds = stop_seconds
        self.jobs: tuple[Job, ...] = ()
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._reports = TrainReports(folder)
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="training-jobs", daemon=True)

    def find(self) -> None:
        """Find what an earlier server left."""
        with self._lock:
            self._read_records()
            self._look()

    def start(self) -> None:
        """Find what an earlier server left, and watch from now on."""
        self.find()
        self._watcher.start()

    def close(self) -> None:
        """Stop the job at work, so that it keeps what it has done, and drop those in line."""
        if self.running:
            logger.warning("stopping the training; %s", GOES_ON)
        self.stop()
        self._closing.set()
        if self._watcher.is_alive():
            self._watcher.join()

    @property
    def running(self) -> Job | None:
        """The job at work."""
        return next((job for job in self.jobs if job.status == "RUNNING"), None)

    @property
    def waiting(self) -> list[Job]:
        """Jobs in line."""
        return [job for job in self.jobs if job.status == "SUBMITTED"]

    @property
    def shown(self) -> Job | None:
        """The job at work, or else the last that was, or else the last."""
        begun = [job for job in self.jobs if job.began is not None]
        return self.running or next(reversed(begun or self.jobs), None)

    def folder_of(self, job: Job) -> Path:
        """Where a job's files are."""
        return self.folder / "jobs" / job.id

    def progress_of(self, job: Job) -> dict[str, Any]:
        """What the job's process says; empty before it says anything."""
        return read_json(self.folder_of(job) / PROGRESS)

    def require_free(self) -> None:
        """Raises BusyError while a job is at work."""
        if job := self.running:
            raise BusyError(
                f"{job.model} is training ({percent_of(self.progress_of(job)):.0f} %); wait for it, stop it with "
                "DELETE /train/, or add enqueue=true to stand in line"
            )

    def submit(
        self,
        model: str,
        request: Mapping[str, Any],
        command: Callable[[Path], Sequence[str]],
        *,
        about: str = "",
        group: str = "",
        enqueue: bool = False,
    ) -> Job:
        """Start a job, or put it in line.

        Args:
            model: the trainer's name.
            request: what was asked for; kept in the record.
            command: the command line, given the file it must report its progress to.
            about: first line of the log.
            group: see :class:`Job`; a job without one stands alone.
            enqueue: stand in line while another is at work.

        Raises:
            BusyError: a job is at work and ``enqueue`` is off, or the line is full.
            TrainingError: the folder cannot be written.
        """
        with self._lock:
            if not enqueue:
                self.require_free()
            if len(self.waiting) >= MAX_WAITING:
                raise BusyError(f"{MAX_WAITING} trainings are in line; wait, or drop them with DELETE /train/")
            job_id = str(uuid.uuid4())
            folder = self.folder / "jobs" / job_id
            job = Job(
                id=job_id,
                model=model,
                request=dict(request),
                command=list(command(folder / PROGRESS)),
                group=group or job_id,
                submitted=max([time.time(), *(earlier.submitted + 1e-3 for earlier in self.jobs)]),
            )
            try:
                folder.mkdir(parents=True)
                (folder / LOG).write_text(f"{about}\n" if about else "")
                write_record(job, folder)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise TrainingError(
                    f"training cannot write to {self.folder}: {error.strerror}; make room, or start the server with "
                    "AMD_DAS_RUNS_DIR set to another folder"
                ) from error
            self.jobs = (*self.jobs, job)
            self._forget_old()
            self._look()
            return job

    def stop(self) -> Job | None:
        """Drop the jobs in line and stop the one at work; returns that one once it has ended, None if there is none."""
        with self._lock:
            for waiting in self.waiting:
                self._end(waiting, "STOPPED", "taken out of the line")
            job = self.running
            if job is None:
                return None
            job.stopping = True
            self._save(job)
            if process := find_process(job):
                with contextlib.suppress(psutil.Error):
                    process.terminate()
        if not self.wait(job, self.stop_seconds):
            logger.warning("the training of %s did not end within %g s and is killed", job.model, self.stop_seconds)
            self._kill(job)
            self.wait(job, KILL_S)
        return job

    def wait(self, job: Job, seconds: float | None = None) -> bool:
        """Whether the job has ended within this time."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            with self._lock:
                self._look()
            if job.ended is not None:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(0.1)

    def record(self, job: Job) -> dict[str, Any]:
        """A job as MONAI Label's clients know it, and its progress; ``details`` is never empty."""
        progress = self.progress_of(job)
        now = job.note or sentence(progress) or "begun"
        if job.status == "SUBMITTED":
            now = f"waiting for {self.running.model} to end" if self.running else "about to begin"
        record = {
            "id": job.id,
            "status": job.status,
            "request": {"model": job.model, **job.request},
            "start_ts": _date(job.began or job.submitted),
            "details": [*last_lines(self.folder_of(job) / LOG, DETAIL_LINES - 1), now],
            "progress": progress,
        }
        return record | ({"end_ts": _date(job.ended)} if job.ended is not None else {})

    # Whoever calls what follows holds the lock, _watch and _kill excepted.

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                with self._lock:
                    self._look()
            except Exception:
                logger.exception("watching the training failed")

    def _look(self) -> None:
        """Take note of what has happened, and begin the next job if none is at work."""
        if job := self.running:
            exit_status = self._child.poll() if self._child else None
            alive = exit_status is None if self._child else find_process(job) is not None
            self._reports.tell(job, self.progress_of(job))
            if not alive:
                self._child = None
                self._end(job, *outcome(job, self.folder_of(job), exit_status))
        while not self.running and self.waiting:
            self._begin(self.waiting[0])

    def _begin(self, job: Job) -> None:
        job.began = time.time()
        try:
            with (self.folder_of(job) / LOG).open("ab") as log:
                self._child = subprocess.Popen(
                    job.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder_of(job),
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    start_new_session=True,  # Ctrl+C in the server's terminal is not for it
                )
        except OSError as error:
            self._end(job, "ERROR", f"could not be started: {error}")
            return
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self._child.pid, NICENESS)
        job.pid, job.status = self._child.pid, "RUNNING"
        self._save(job)
        self._reports.tell(job, self.progress_of(job))
        logger.info("training of %s begins, process %d", job.model, job.pid)

    def _end(self, job: Job, status: str, note: str) -> None:
        job.status, job.note, job.ended = status, note, time.time()
        self._save(job)
        if job.began is not None:
            self._reports.write_stats(job, self.progress_of(job))
            level = logging.ERROR if status == "ERROR" else logging.INFO
            logger.log(level, "training of %s: %s: %s", job.model, status, note)
        if status != "DONE":
            for other in self.waiting:
                if other.group == job.group:
                    self._end(other, "STOPPED", f"not tried, because {job.model} did not finish")

    def _save(self, job: Job) -> None:
        try:
            write_record(job, self.folder_of(job))
        except OSError as error:  # the job goes on all the same
            logger.error("cannot write the record of job %s: %s", job.id, error.strerror)

    def _read_records(self) -> None:
        folders = [path for path in (self.folder / "jobs").glob("*") if path.is_dir()]
        found = {folder: read_record(folder) for folder in folders}
        for folder in (folder for folder, job in found.items() if job is None):
            logger.error("%s holds no sound record of a job and is passed over", folder)
        self.jobs = tuple(sorted((job for job in found.values() if job), key=lambda job: job.submitted))
        for job in self.waiting:
            self._end(job, "STOPPED", "the server ended before its turn came")
        if (running := self.running) and find_process(running):
            logger.warning("found the training of %s at work, process %d", running.model, running.pid)

    def _forget_old(self) -> None:
        old = [job for job in self.jobs if job.ended is not None][:-KEPT]
        for job in old:
            shutil.rmtree(self.folder_of(job), ignore_errors=True)
        self.jobs = tuple(job for job in self.jobs if job not in old)

    def _kill(self, job: Job) -> None:
        """The process and everything it started."""
        with contextlib.suppress(psutil.Error):
            if process := find_process(job):
                for one in (*process.children(recursive=True), process):
                    with contextlib.suppress(psutil.Error):
                        one.kill()
