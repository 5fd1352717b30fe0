"""Before publication: is what came of the training not worse than the model it began with?"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amd_das.comparison.rule import decide
from amd_das.comparison.volumes import CHALLENGER, CHAMPION, compare, pairs_of
from amd_das.inference import InferenceConfig, Predictor
from amd_das.models import as_published
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.stages.common import Context, Done, keys, last_trained, network_of
from amd_das.pipeline.stages.phantoms import PHANTOMS, phantoms
from amd_das.pipeline.steps import Report, Step

FIRST_SEED = 300_000
"""Of the phantom heads; no training and no test set has them."""


def comparison(context: Context, done: Done) -> Step:
    """Champion and challenger on phantom heads, whose bleeds are known, and what comes of it."""
    config, champion = context.config.comparison, context.published
    assert champion

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        heads = config.heads
        folder = phantoms(
            context,
            output / PHANTOMS,
            "ct",
            FIRST_SEED,
            heads,
            for_training=True,
            after=lambda n: report(n, 2 * heads),
        )
        fitting = context.config.self_training[-1].fit
        device = None if fitting.device == "auto" else fitting.device
        challenger = as_published(network_of(context, done))
        rows = compare(
            cases_of(folder, "target", labelled=True, masks=folder / "masks"),
            {CHAMPION: Predictor(champion, device=device), CHALLENGER: Predictor(challenger, device=device)},
            output,
            progress=lambda count, total: report(heads + count, heads + total),
            should_stop=context.should_stop,
        )
        shutil.rmtree(folder)
        return {"verdict": asdict(decide(pairs_of(rows), config.rule, context.config.seed, scans="phantom"))}

    inputs = {
        "config": asdict(config),
        "first_seed": FIRST_SEED,
        "seed": context.config.seed,
        "champion": champion.info.checksum,
        "inference": asdict(InferenceConfig()),
        **keys(done, last_trained(done)),
    }
    return Step(name="comparison", inputs=inputs, make=make)
