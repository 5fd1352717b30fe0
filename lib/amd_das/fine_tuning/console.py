"""A fine-tuning in a terminal, or under a server."""

import sys
from pathlib import Path

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.fine_tuning.cases import NothingLabelled
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.run import FineTuneResult, run
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.console import DONE, STOPPED, Ending, not_published, work_in_terminal
from amd_das.pipeline.progress_file import ProgressFile


def fine_tune_in_terminal(
    place: Path | PacsConfig,
    workdir: Path,
    model_dir: Path,
    config: FineTuneConfig,
    *,
    submitted: bool = False,
    processes: int | None = None,
    progress_file: Path | None = None,
    unless_unlabelled: bool = False,
) -> int:
    """Fine-tune with a progress bar on stderr; the first Ctrl+C or SIGTERM stops it after a checkpoint.

    Args:
        place: scans and labels.
        workdir: what is made.
        model_dir: versions of the model.
        config: see there.
        submitted: of a folder, learn only from what a server has saved as final.
        processes: that prepare scans.
        progress_file: kept up to date for other programs.
        unless_unlabelled: where nothing is labelled, that is said, and no error.

    Returns:
        0 when done, 130 when stopped.

    Raises:
        AmdDasError, OSError: see :func:`amd_das.fine_tuning.run.run`; the progress file has been told.
    """
    try:
        result = work_in_terminal(
            "fine_tune",
            lambda tell, should_stop: run(
                place,
                workdir,
                model_dir,
                config,
                submitted=submitted,
                processes=processes,
                progress=tell,
                should_stop=should_stop,
            ),
            lambda result: Ending(version=result.version if result.published else None, note=describe(result)),
            progress_file,
        )
    except NothingLabelled as error:
        if not unless_unlabelled:
            raise
        if progress_file:
            ProgressFile(progress_file, "fine_tune").end("done", note=f"nothing was learnt: {error}")
        sys.stdout.write(f"nothing was learnt: {error}\n")
        return DONE
    if result is None:
        return STOPPED
    for step, made in result.steps.items():
        sys.stdout.write(f"{step:12} {'made' if made.fresh else 'up to date'}  {made.folder}\n")
    sys.stdout.write(f"{describe(result)}. {RESEARCH_NOTICE}\n")
    return DONE


def describe(result: FineTuneResult) -> str:
    """What came of it, in one sentence."""
    if result.version is None:
        return f"nothing to do: {result.reason}"
    if result.published:
        return f"published {result.version}: {result.reason}"
    return not_published(result.version, result.reason)
