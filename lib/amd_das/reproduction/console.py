"""`amd-das reproduce` in a terminal: the paper's column beside ours."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.console import DONE, STOPPED, Ending, work_in_terminal
from amd_das.reproduction.presets import preset
from amd_das.reproduction.report import Result
from amd_das.reproduction.rows import check_table
from amd_das.reproduction.run import reproduce
from amd_das.reproduction.work import Places


def reproduce_in_terminal(
    table: str,
    name: str,
    workdir: Path,
    say: Callable[[str], None],
    *,
    seeds: Sequence[int] = (0,),
    source: Path | None = None,
    target: Path | PacsConfig | None = None,
    test: Path | None = None,
    device: str | None = None,
    processes: int | None = None,
) -> int:
    """Run a table and print it; the first Ctrl+C or SIGTERM stops it after a checkpoint.

    Returns:
        0 when done, 130 when stopped.

    Raises:
        AmdDasError: see :func:`amd_das.reproduction.run.reproduce`.
    """
    check_table(table)
    config = preset(name, device)
    places = Places(workdir=workdir, source=source, target=target, test=test)

    def after(result: Result) -> None:
        said = f"{result.name}, seed {result.seed}: {result.scores.paper_way:.2f}, {result.seconds:.0f} s"
        tqdm.write(said, file=sys.stderr)

    report = work_in_terminal(
        table,
        lambda tell, should_stop: reproduce(
            table,
            config,
            places,
            seeds=seeds,
            processes=processes,
            progress=tell,
            should_stop=should_stop,
            after=after,
        ),
        lambda report: Ending(),
        None,
    )
    if report is None:
        return STOPPED
    for line in report.lines():
        say(line)
    say(f"{workdir / f'{table}-{name}.json'} holds the numbers, the .md beside it this table. {RESEARCH_NOTICE}")
    return DONE
