"""A pipeline in a terminal, or under a server: bar, progress file, and stopping in order."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tqdm import tqdm

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import AmdDasError, TrainingStopped
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.presets import preset
from amd_das.pipeline.progress_file import ProgressFile
from amd_das.pipeline.run import run
from amd_das.pipeline.steps import PipelineProgress

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
        config = replace(
            config,
            synthesis_fit=replace(config.synthesis_fit, device=device),
            segmentation_fit=replace(config.segmentation_fit, device=device),
        )
    file = ProgressFile(progress_file, name) if progress_file else None
    layout = "{percentage:3.0f}% |{bar:24}| {elapsed} {desc}"
    often = 0.1 if sys.stderr.isatty() else 30.0  # seconds; a log file wants few lines
    with (
        _stop_requests() as should_stop,
        tqdm(total=1.0, file=sys.stderr, bar_format=layout, mininterval=often, maxinterval=2 * often) as bar,
    ):

        def tell(now: PipelineProgress) -> None:
            if now.message:
                tqdm.write(now.message, file=sys.stderr)
            bar.set_description_str(describe(now), refresh=False)
            bar.update(max(0.0, now.overall - bar.n))
            if file:
                file.tell(now)

        try:
            result = run(
                config,
                workdir,
                model_dir,
                source=source,
                target=target,
                until=until,
                processes=processes,
                progress=tell,
                should_stop=should_stop,
            )
        except TrainingStopped as stopped:
            if file:
                file.end("stopped", error=str(stopped))
            bar.close()
            sys.stderr.write(f"{stopped}\n")
            return STOPPED
        except BaseException as error:
            if file:
                known = isinstance(error, AmdDasError | OSError)
                file.end("error", error=str(error) if known else f"{type(error).__name__}: {error}")
            raise
    if file:
        file.end("done", version=result.version)
    for step, made in result.steps.items():
        sys.stdout.write(f"{step:12} {'made' if made.fresh else 'up to date'}  {made.folder}\n")
    if result.version:
        sys.stdout.write(f"published {result.version}. {RESEARCH_NOTICE}\n")
    return DONE


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
