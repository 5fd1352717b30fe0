"""The first steps: slices of both domains, and which of them are alike."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from amd_das.datasets import CaseFiles
from amd_das.matching import match, write_sheet
from amd_das.pacs.config import PacsConfig
from amd_das.phantom.files import Kind
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.stages.common import MATCHES, SLICES, Context, Done, keys, store_of
from amd_das.pipeline.stages.phantoms import PHANTOMS, phantoms
from amd_das.pipeline.steps import Report, Step
from amd_das.slices import Domain
from amd_das.slices.prepare import prepare

FIRST_SEEDS: Final[Mapping[Kind, int]] = {"flair": 200_000, "ct": 100_000}
"""Of the phantom heads; those of the test set and the samples are far below."""

SHEET: Final = "pairs.png"


def source(context: Context, folder: Path | None) -> Step:
    """Slices of labelled MRI."""
    return _prepared(context, "source", "flair", folder, context.config.source_heads, labelled=True)


def target(context: Context, place: Path | PacsConfig | None) -> Step:
    """Slices of CT; with labels only for the supervised bound."""
    labelled = context.config.train_on == "ct"
    return _prepared(context, "target", "ct", place, context.config.target_heads, labelled=labelled)


def rehearsal(context: Context) -> Step:
    """Slices of phantom CT, to be learnt from beside a target of one's own."""
    return _prepared(context, "target", "ct", None, context.config.rehearsal_heads, labelled=False, name="rehearsal")


def _prepared(
    context: Context,
    domain: Domain,
    kind: Kind,
    place: Path | PacsConfig | None,
    heads: int,
    *,
    labelled: bool,
    name: str = "",
) -> Step:
    config = replace(context.config.prepare, validation_share=context.config.validation_share)
    if place is None:
        if domain == "source":
            config = replace(config, source_slices=(0, 154))  # phantoms hold few slices, over the whole brain
        data: Any = {"phantom": kind, "first_seed": FIRST_SEEDS[kind], "heads": heads}
    else:
        data = sorted(stamp for case in cases_of(place, domain, labelled=labelled) for stamp in _stamps(case))

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        def rendered() -> Path:
            return phantoms(
                context,
                output / PHANTOMS,
                kind,
                FIRST_SEEDS[kind],
                heads,
                for_training=True,
                after=lambda done: report(done, 2 * heads),
            )

        cases = place or rendered()
        masks = output / PHANTOMS / "masks" if place is None and labelled and domain == "target" else None
        before = heads if place is None else 0

        def tell(done: int, total: int, case: str) -> None:
            report(before + done, before + total)

        outcome = prepare(
            cases_of(cases, domain, labelled=labelled, masks=masks),
            output / SLICES,
            domain,
            config,
            processes=context.processes,
            progress=tell,
            should_stop=context.should_stop,
            split=output.parent / f"split-{name or domain}.json",
        )
        shutil.rmtree(output / PHANTOMS, ignore_errors=True)  # with the masks, which the target must not have
        return {"cases": outcome.cases, "slices": outcome.slices, "failures": dict(outcome.failures)}

    inputs = {"data": data, "labelled": labelled, "prepare": config.record(domain)}
    return Step(name=name or domain, inputs=inputs, make=make)


def _stamps(case: CaseFiles) -> list[list[Any]]:
    if case.remote is not None:
        return [[case.remote.stamp]]
    return [_stamp(path) for path in (*(case.series or (case.image,)), *((case.mask,) if case.mask else ()))]


def _stamp(path: Path) -> list[Any]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]


def matching(context: Context, done: Done) -> Step:
    """Which MRI and CT are alike (section 3.1.4)."""
    config = context.config.matching

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source, target = store_of(done, "source"), store_of(done, "target")
        matches = match(
            source,
            target,
            config,
            progress=lambda count, total, what: report(count, total),
            should_stop=context.should_stop,
        )
        matches.save(output / MATCHES)
        write_sheet(source, target, matches, output / SHEET)
        return {"source": len(source), "target": len(target), "matched_source": len(matches.matched_source)}

    return Step(name="matching", inputs={"config": asdict(config), **keys(done, "source", "target")}, make=make)
