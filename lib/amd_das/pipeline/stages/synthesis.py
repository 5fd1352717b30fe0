"""Stage 1, and the pseudo-CTs it makes."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from amd_das.datasets.splits import FILE_NAME as SPLIT
from amd_das.files import write_whole
from amd_das.pipeline.stages.common import (
    SLICES,
    Context,
    Done,
    fit_inputs,
    keys,
    matches_of,
    reporting,
    store_of,
    trained,
)
from amd_das.pipeline.steps import Report, Step
from amd_das.synthesis.batches import matched_batches
from amd_das.synthesis.learner import SynthesisLearner
from amd_das.synthesis.translate import trained_generators, translate
from amd_das.training.engine import fit


def synthesis(context: Context, done: Done) -> Step:
    """Stage 1: learn to turn MRI into pseudo-CT (section 3.1)."""
    config = context.config
    pairs = replace(config.pairs, matching=config.matched)

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source, target, matches = store_of(done, "source"), store_of(done, "target"), matches_of(done)
        record = fit(
            SynthesisLearner(config.synthesis, config.seed),
            matched_batches(source, target, matches, pairs, config.seed),
            config.synthesis_fit,
            output,
            progress=reporting(report),
            should_stop=context.should_stop,
        )
        return trained(record)

    inputs = {
        "config": asdict(config.synthesis),
        "pairs": asdict(pairs),
        "fit": fit_inputs(config.synthesis_fit),
        "seed": config.seed,
        **keys(done, "matching"),
    }
    return Step(name="synthesis", inputs=inputs, make=make, together=True)


def translation(context: Context, done: Done) -> Step:
    """Every MRI slice as a pseudo-CT, once, with its label."""

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source = store_of(done, "source")
        generators = trained_generators(done["synthesis"].folder)
        store = translate(
            generators,
            source,
            np.arange(len(source)),
            output / SLICES,
            device=context.config.synthesis_fit.device,
            progress=report,
            should_stop=context.should_stop,
        )
        split = source.directory / SPLIT
        if split.exists():
            write_whole(store.directory / SPLIT, split.read_bytes())
        return {"slices": len(store)}

    return Step(name="translation", inputs=keys(done, "synthesis"), make=make)
