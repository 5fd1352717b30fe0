"""Steps whose output is kept under a key of everything that decides it.

A step writes into ``<workdir>/<name>-<key>/``; once finished, ``done.json`` there holds its summary. A second run finds
it and does nothing; another setting or another input gives another key, for this step and those that build on it; an
interrupted step finds its own folder again and continues.
"""

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from amd_das import __version__
from amd_das.errors import TrainingError
from amd_das.files import write_whole
from amd_das.training import parallel

logger = logging.getLogger(__name__)

DONE: Final = "done.json"
LOCK: Final = ".lock"
_POLL_SECONDS: Final = 0.5
_FORMAT: Final = 1
"""Part of every key: raised when folders of earlier versions no longer serve."""


@dataclass(frozen=True, kw_only=True)
class PipelineProgress:
    """How far a pipeline is."""

    step: str
    """The step at work."""

    number: int
    """Its place, from 1."""

    count: int
    """Steps in all."""

    done: int
    """Units done within the step: cases, slices or training steps."""

    total: int
    """Units of the step."""

    overall: float
    """Part of the whole run, 0 to 1, by each step's usual share of the time."""

    losses: Mapping[str, float] = field(default_factory=dict)
    """Of a training step; empty otherwise."""

    seconds_left: float | None = None
    """Expected seconds to the end of the step; None until known."""

    message: str = ""
    """What the user should know; usually empty."""


PipelineCallback = Callable[[PipelineProgress], None]
Report = Callable[..., None]
"""``report(done, total, losses=…, seconds_left=…, message=…)``: what a step calls while it works."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a pipeline."""

    name: str
    """A word; begins the folder's name."""

    inputs: Mapping[str, Any]
    """Everything that decides the output, ready for JSON: settings, and digests of what it reads."""

    make: Callable[[Path, Report], Mapping[str, Any]]
    """Writes into the folder, continuing what is there; returns a summary ready for JSON."""

    still_good: Callable[[Mapping[str, Any]], bool] = lambda summary: True
    """Whether a finished output still serves, where that depends on more than its folder; given the summary."""

    together: bool = False
    """Whether all processes of a torchrun take part; otherwise the first does it and the others wait."""

    @property
    def key(self) -> str:
        """Twelve hex digits."""
        content = {"step": self.name, "format": _FORMAT, "version": __version__, "inputs": self.inputs}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=list).encode()).hexdigest()[:12]

    def folder(self, workdir: Path) -> Path:
        """Where its output lies."""
        return workdir / f"{self.name}-{self.key}"


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A finished step."""

    key: str
    """Of the step; steps that build on it name it among their inputs."""

    folder: Path
    """What it wrote."""

    summary: Mapping[str, Any]
    fresh: bool
    """False when it had been finished before."""


class Runner:
    """Runs steps in one working folder, and says how far the whole is."""

    def __init__(self, workdir: Path, shares: Mapping[str, float], progress: PipelineCallback | None = None) -> None:
        """``shares`` names the steps in order, each with its usual part of the time, in any unit."""
        self.workdir = workdir
        self.shares = dict(shares)
        self.progress = progress

    def run(self, step: Step) -> StepResult:
        """Make the step's output, or find it made. Of the processes of a torchrun, only the first writes and tells.

        Raises:
            TrainingError: the disk is full, or what the step itself raises; its folder stays for the next try.
        """
        folder = step.folder(self.workdir)
        if not step.together and parallel.rank():
            return self._await(step, folder)
        found = _summary(folder)
        if found is not None and step.still_good(found):
            self._report(step, 1, 1, message=f"{step.name}: up to date")
            return StepResult(key=step.key, folder=folder, summary=found, fresh=False)
        logger.info("%s: begins in %s", step.name, folder.name)
        started = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            summary = dict(step.make(folder, lambda done, total, **more: self._report(step, done, total, **more)))
            if parallel.rank():
                return self._await(step, folder)
            record = {"step": step.name, "inputs": step.inputs, "summary": summary}
            write_whole(folder / DONE, (json.dumps(record, indent=2, default=list) + "\n").encode())
        except OSError as error:
            raise TrainingError(
                f"{step.name} could not work in {folder}: {error.strerror or error}; make room or choose another "
                "working folder, and start again: it continues where it stopped"
            ) from error
        logger.info("%s: done in %.0f s", step.name, time.monotonic() - started)
        self._report(step, 1, 1)
        return StepResult(key=step.key, folder=folder, summary=summary, fresh=True)

    def _await(self, step: Step, folder: Path) -> StepResult:
        """What the first process makes; if that fails, torchrun ends this one."""
        while (summary := _summary(folder)) is None:
            time.sleep(_POLL_SECONDS)
        return StepResult(key=step.key, folder=folder, summary=summary, fresh=False)

    def _report(
        self,
        step: Step,
        done: int,
        total: int,
        *,
        losses: Mapping[str, float] | None = None,
        seconds_left: float | None = None,
        message: str = "",
    ) -> None:
        if self.progress is None or parallel.rank():
            return
        names = list(self.shares)
        before = sum(self.shares[name] for name in names[: names.index(step.name)])
        part = self.shares[step.name] * min(done / max(total, 1), 1.0)
        self.progress(
            PipelineProgress(
                step=step.name,
                number=names.index(step.name) + 1,
                count=len(names),
                done=done,
                total=total,
                overall=(before + part) / sum(self.shares.values()),
                losses=losses or {},
                seconds_left=seconds_left,
                message=message,
            )
        )


def _summary(folder: Path) -> Mapping[str, Any] | None:
    """What a finished step said; None of an unfinished one."""
    try:
        found: Mapping[str, Any] = json.loads((folder / DONE).read_text())["summary"]
        return found
    except FileNotFoundError:
        return None


@contextmanager
def only_one(workdir: Path) -> Iterator[None]:
    """Keep a second pipeline out of the same folder; the lock goes with the process, however that ends.

    The processes of a torchrun are one pipeline.

    Raises:
        TrainingError: another pipeline is at work there, or the folder cannot be written.
    """
    if parallel.rank():
        yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / LOCK).open("a")
    except OSError as error:
        raise TrainingError(f"cannot write to {workdir}: {error.strerror}; choose another working folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"another training is at work in {workdir}; wait for it, stop it, or choose another working folder"
            ) from None
        yield
