"""The paper's Tables 2 and 3 on phantom heads: what each part of the method is worth.

    python benchmarks/ablation.py [--preset shipped|smoke] [--seeds 0 1 2] [--rows NAME …] [-o RESULTS.json]

Each row is the preset with parts taken out, trained by the pipeline and scored on the phantom test set
(`phantom_test_set.py`), none of which is trained on. Steps that rows share are made once, and an interrupted run
continues. The source is phantom FLAIR with glioma, the target phantom CT; only the supervised bound sees CT labels.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import phantom_test_set

from amd_das.models import load_version
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.console import describe
from amd_das.pipeline.presets import PRESETS, preset
from amd_das.pipeline.run import run

Change = Callable[[PipelineConfig], PipelineConfig]


def _source_only(config: PipelineConfig) -> PipelineConfig:
    return replace(config, segmentation=replace(config.segmentation, adversarial_weight=0.0))


def _on(train_on: str) -> Change:
    return lambda config: replace(config, train_on=train_on, matched=False)  # type: ignore[arg-type]


def _synthesis(*, lesion: bool, matched: bool, features: bool) -> Change:
    def change(config: PipelineConfig) -> PipelineConfig:
        full = config.synthesis
        synthesis = replace(
            full,
            lesion_weight=full.lesion_weight if lesion else 0.0,
            feature_weight=full.feature_weight if features else 0.0,
            generator=replace(full.generator, shared_fusion=features),
        )
        return replace(config, synthesis=synthesis, matched=matched)

    return change


ROWS: dict[str, tuple[str, Change]] = {
    "source-only": ("2", lambda config: _source_only(_on("mri")(config))),
    "cyclegan": ("2", lambda c: _source_only(_synthesis(lesion=False, matched=False, features=False)(c))),
    "+lesion-loss": ("2", lambda c: _source_only(_synthesis(lesion=True, matched=False, features=False)(c))),
    "+matching": ("2", lambda c: _source_only(_synthesis(lesion=True, matched=True, features=False)(c))),
    "+feature-adaptation": ("2", lambda c: _source_only(_synthesis(lesion=True, matched=True, features=True)(c))),
    "one-stage-das": ("3", _on("mri")),
    "amd-das": ("3", lambda config: config),
    "supervised-bound": ("5", lambda config: _source_only(_on("ct")(config))),
}
"""Name → the paper's table it stands in, and what it changes."""


def main() -> None:
    """Train and score what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="shipped")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--workdir", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--data", type=Path, default=phantom_test_set.DATA)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    phantom_test_set.render(arguments.data)
    table: dict[str, Any] = {
        "preset": arguments.preset,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores",
        "command": " ".join(["python", *sys.argv]),
        "rows": {},
    }
    for row in arguments.rows:
        for seed in arguments.seeds:
            result = _one(row, seed, arguments)
            table["rows"].setdefault(row, {"table": ROWS[row][0], "seeds": {}})["seeds"][str(seed)] = result
            if arguments.output:
                arguments.output.write_text(json.dumps(table, indent=2) + "\n")
    print(f"{'row':22} {'table':>5} {'mean Dice':>10} {'each seed':>24}")
    for row, found in table["rows"].items():
        scores = [result["mean_dice"] for result in found["seeds"].values()]
        each = " ".join(f"{value:.3f}" for value in scores)
        print(f"{row:22} {found['table']:>5} {statistics.mean(scores):10.3f} {each:>24}")


def _one(row: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    config = ROWS[row][1](replace(preset(arguments.preset), seed=seed))
    models = arguments.workdir / "models"
    shown = [0.0]

    def tell(now: Any) -> None:
        if time.monotonic() - shown[0] > 30:
            shown[0] = time.monotonic()
            print(f"{row} seed {seed}: {describe(now)}", flush=True)

    result = run(config, arguments.workdir / "work", models, progress=tell)
    assert result.version is not None
    found = phantom_test_set.score(load_version(models, result.version), arguments.data, quiet=True)
    print(f"{row} seed {seed}: mean Dice {found['mean_dice']}", flush=True)
    return {key: value for key, value in found.items() if key != "cases"}


if __name__ == "__main__":
    main()
