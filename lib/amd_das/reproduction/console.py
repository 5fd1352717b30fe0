"""`amd-das reproduce` in a terminal: the paper's column beside ours."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.console import describe
from amd_das.pipeline.presets import preset
from amd_das.pipeline.steps import PipelineProgress
from amd_das.reproduction.rows import check_table
from amd_das.reproduction.run import Places, Result, reproduce

PHANTOMS = "Phantoms stand in for the data: the numbers show that every step runs, and say nothing about the paper's."


def reproduce_in_terminal(
    table: str,
    name: str,
    workdir: Path,
    say: Callable[[str], None],
    *,
    source: Path | None = None,
    target: Path | PacsConfig | None = None,
    test: Path | None = None,
    device: str | None = None,
    processes: int | None = None,
) -> int:
    """Run a table and print it; returns the exit status 0.

    Raises:
        AmdDasError: see :func:`amd_das.reproduction.run.reproduce`.
    """
    check_table(table)
    config = preset(name)
    if device:
        config = replace(
            config,
            synthesis_fit=replace(config.synthesis_fit, device=device),
            segmentation_fit=replace(config.segmentation_fit, device=device),
        )
    places = Places(workdir=workdir, source=source, target=target, test=test)
    often = 0.1 if sys.stderr.isatty() else 30.0  # seconds; a log file wants few lines
    with tqdm(
        total=1.0, file=sys.stderr, bar_format="{elapsed} {desc}", mininterval=often, maxinterval=2 * often
    ) as bar:

        def tell(now: PipelineProgress) -> None:
            bar.set_description_str(describe(now), refresh=False)
            bar.update(0)

        def after(result: Result) -> None:
            tqdm.write(f"{result.name}: {result.dice.paper_way:.2f}, {result.seconds:.0f} s", file=sys.stderr)

        results = reproduce(table, config, places, processes=processes, progress=tell, after=after)
    for line in lines(table, name, results):
        say(line)
    if places.test is None:
        say(PHANTOMS)
    say(f"{workdir / f'{table}-{name}.json'} holds the numbers. {RESEARCH_NOTICE}")
    return 0


def lines(table: str, preset_name: str, results: Sequence[Result]) -> list[str]:
    """The table, ready to print."""
    first = results[0].dice
    width = max(len(result.name) for result in results)
    head = (
        f"Table {table[-1]}, preset {preset_name}: Dice in percent on {first.slices} labelled slices, "
        f"{first.lesion_slices} with a lesion"
    )
    found = [head, f"{'':{width}}   paper    ours   ours, lesion slices only"]
    for result in results:
        lesions = "-" if result.dice.lesions is None else f"{result.dice.lesions:.2f}"
        found.append(f"{result.name:{width}}  {result.paper:6.2f}  {result.dice.paper_way:6.2f}  {lesions:>6}")
    return [*found, "ours: mean over all slices as the authors count, where an empty slice left empty scores 100"]
