"""A training job on disk: its record, its process, its log, and how it ended."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from amd_das.files import write_whole
from amd_das_app.training.progress import read_json

RECORD, LOG, PROGRESS = "job.json", "log.txt", "progress.json"
DETAIL_LINES: Final = 20
GOES_ON: Final = "start it again, and it continues where it was"
_STOPPED_STATUS: Final = 130


@dataclass(kw_only=True)
class Job:
    """A training that was asked for."""

    id: str
    model: str
    """The trainer's name."""

    request: dict[str, Any]
    """What the client chose."""

    command: list[str]
    """Names the job's id, since it names the job's folder."""

    group: str
    """Jobs asked for at once share it: when one does not finish, those behind it are not tried."""

    submitted: float
    """Seconds since the epoch; later than that of every job before it."""

    status: str = "SUBMITTED"
    """MONAI Label's words: SUBMITTED, RUNNING, DONE, ERROR, STOPPED."""

    pid: int | None = None
    began: float | None = None
    ended: float | None = None
    note: str = ""
    """Why it ended as it did."""

    stopping: bool = False
    """Whether its end was asked for."""


def write_record(job: Job, folder: Path) -> None:
    """Into the job's folder; raises OSError."""
    write_whole(folder / RECORD, (json.dumps(asdict(job), indent=2) + "\n").encode())


def read_record(folder: Path) -> Job | None:
    """From the job's folder; None when the record is damaged."""
    try:
        return Job(**read_json(folder / RECORD))
    except TypeError:
        return None


def find_process(job: Job) -> psutil.Process | None:
    """The job's process if it lives; another that has got its number since does not name the job in its command."""
    try:
        process = psutil.Process(job.pid) if job.pid else None
        return process if process and any(job.id in argument for argument in process.cmdline()) else None
    except psutil.Error:
        return None


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines that are not empty; of a progress bar only its last state."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    shown = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in shown if line][-count:]


def outcome(job: Job, folder: Path, exit_status: int | None) -> tuple[str, str]:
    """MONAI Label's word for how a job ended, and a sentence.

    Args:
        job: the job, its process gone.
        folder: the job's folder.
        exit_status: negative for a signal; None where another server started the process.
    """
    progress = read_json(folder / PROGRESS)
    said = progress.get("status") if exit_status is None else None
    if exit_status == 0 or said == "done":
        version = progress.get("version")
        if note := progress.get("note"):
            return "DONE", str(note)
        return "DONE", f"done; model version {version} is published" if version else "done"
    if job.stopping or exit_status == _STOPPED_STATUS or said == "stopped":
        return "STOPPED", f"stopped; {GOES_ON}"
    complaints = [line for line in last_lines(folder / LOG, DETAIL_LINES) if line.startswith("error: ")]
    if error := progress.get("error") or (complaints and complaints[-1].removeprefix("error: ")):
        return "ERROR", str(error)
    if exit_status is None:
        return "ERROR", f"it ended while no server watched; {GOES_ON}"
    how = f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"
    return "ERROR", f"it ended with {how} and without a word, perhaps for want of memory; {GOES_ON}"
