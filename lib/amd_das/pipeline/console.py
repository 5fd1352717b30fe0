"""A pipeline in a terminal, or under a server: bar, progress file, and stopping in order."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

from tqdm import tqdm

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import AmdDasError, TrainingStopped
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.presets import preset
from amd_das.pipeline.progress_file import ProgressFile
from amd_das.pipeline.run import PipelineResult, run
from amd_das.pipeline.steps import PipelineCallback, PipelineProgress
from amd_das.training.progress import StopCheck

Result = TypeVar("Result")

DONE: Final = 0
STOPPED: Final = 130


def run_in_terminal(
    name: str,
    workdir: Path,
    model_dir: Path,
    *,
    source: Path | None = None,
    target: Path | PacsConfig | None = None,
    until: str = "publication",
    device: str | None = None,
    processes: int | None = None,
    progress_file: Path | None = None,
) -> int:
    """Run a preset with a progress bar on stderr; the first Ctrl+C or SIGTERM stops it after a checkpoint.

    Returns:
        0 when done, 130 when stopped.

    Raises:
        AmdDasError, OSError: see :func:`amd_das.pipeline.run.run`; the progress file has been told.
    """
    config = preset(name)
    if device:
        config = config.fitted(device=device)
    result = work_in_terminal(
        name,
        lambda tell, should_stop: run(
            config,
            workdir,
            model_dir,
            source=source,
            target=target,
            until=until,
            processes=processes,
            progress=tell,
            should_stop=should_stop,
        ),
        lambda result: Ending(note=_outcome(result)) if result.kept else Ending(version=result.version),
        progress_file,
    )
    if result is None:
        return STOPPED
    for step, made in result.steps.items():
        sys.stdout.write(f"{step:16} {'made' if made.fresh else 'up to date'}  {made.folder}\n")
    if result.version:
        sys.stdout.write(f"{_outcome(result)}. {RESEARCH_NOTICE}\n")
    return DONE


def _outcome(result: PipelineResult) -> str:
    """What came of a run that has made a version."""
    return not_published(result.version, result.kept) if result.kept else f"published {result.version}"


def not_published(version: str | None, reason: str) -> str:
    """Of a version that lies beside the one in use."""
    return f"kept {version}, not published: {reason}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What the progress file says in the end."""

    version: str | None = None
    """The version that was published."""

    note: str = ""
    """Said instead of it."""


def work_in_terminal(
    name: str,
    work: Callable[[PipelineCallback, StopCheck], Result],
    ending: Callable[[Result], Ending],
    progress_file: Path | None,
) -> Result | None:
    """Do the work with a progress bar on stderr; the first Ctrl+C or SIGTERM asks it to stop, and None comes back.

    Raises:
        AmdDasError, OSError: as ``work`` does; the progress file has been told.
    """
    file = ProgressFile(progress_file, name) if progress_file else None
    layout = "{percentage:3.0f}% |{bar:24}| {elapsed} {desc}"
    often = 0.1 if sys.stderr.isatty() else 30.0  # seconds; a log file wants few lines
    with (
        _stop_requests() as should_stop,
        tqdm(
            total=1.0, file=sys.stderr, bar_format=layout, mininterval=often, maxinterval=2 * often, miniters=0
        ) as bar,
    ):

        def tell(now: PipelineProgress) -> None:
            if now.message:
                tqdm.write(now.message, file=sys.stderr)
            bar.set_description_str(describe(now), refresh=False)
            bar.update(max(0.0, now.overall - bar.n))
            if file:
                file.tell(now)

        try:
            result = work(tell, should_stop)
        except TrainingStopped as stopped:
            if file:
                file.end("stopped", error=str(stopped))
            bar.close()
            sys.stderr.write(f"{stopped}\n")
            return None
        except BaseException as error:
            if file:
                known = isinstance(error, AmdDasError | OSError)
                file.end("error", error=str(error) if known else f"{type(error).__name__}: {error}")
            raise
    if file:
        said = ending(result)
        file.end("done", version=said.version, note=said.note)
    return result


def describe(now: PipelineProgress) -> str:
    """One line: step, units done, losses, time left."""
    parts = [f"{now.number}/{now.count} {now.step} {now.done}/{now.total}"]
    parts += [f"{name} {value:.3g}" for name, value in list(now.losses.items())[:4]]
    if now.seconds_left is not None:
        minutes, seconds = divmod(round(now.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return "  ".join(parts)


@contextmanager
def _stop_requests() -> Iterator[Any]:
    """A function that says whether a stop was asked for; a second Ctrl+C interrupts at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
