"""A version of the model from a finished run: weights, what made them, and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.steps import StepResult

_DOMAINS = ("source", "target")
_LABELS = {
    "pseudo_ct": "of the MRI alone: no CT label took part in training or in the choice of the checkpoint",
    "mri": "of the MRI alone: no CT label took part in training or in the choice of the checkpoint",
    "ct": "of the CT (supervised)",
}


def publish(network: Fcn, config: PipelineConfig, done: Mapping[str, StepResult], model_dir: Path) -> ModelInfo:
    """Write the network as a version and put it to use; everything about the run goes with it."""
    trained = [result.summary for result in done.values() if "seconds" in result.summary]
    last = trained[-1]
    found = {name: done[name].summary for name in _DOMAINS}
    counts = [f"{name}: {summary['cases']} cases, {summary['slices']} slices" for name, summary in found.items()]
    record = {
        "preset": config.name,
        "data": "; ".join(counts),
        "labels": _LABELS[config.train_on],
        "device": "; ".join(dict.fromkeys(str(summary["device"]) for summary in trained)),
        "torch": last["torch"],
        "minutes": round(sum(summary["seconds"] for summary in trained) / 60, 1),
        "seed": config.seed,
        "criterion": last["criterion"],
        "steps": {name: result.key for name, result in done.items()},
        "config": asdict(config),
    }
    metrics = {name: round(value, 4) for name, value in last["best"].items()}
    return save_version(model_dir, network, training=record, metrics=metrics, card=_card(record, metrics))


def _card(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    scores = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in metrics.items())
    return f"""# Model card: AMD-DAS FCN, preset "{record["preset"]}"

**{RESEARCH_NOTICE}**

| | |
|---|---|
| task | outline intraparenchymal hemorrhage on non-contrast head CT, slice by slice |
| network | FCN with a VGG-16 encoder, one channel, `amd_das.networks.fcn` |
| input | axial slices, 240 x 240 at 1 mm, brain only, 0-100 HU scaled to [-1, 1] |
| output | one logit per pixel |
| method | AMD-DAS: matching, synthesis of pseudo-CT, domain-adversarial segmentation (`amd-das pipeline`) |
| trained on | {record["data"]} |
| labels | {record["labels"]} |
| device | {record["device"]}, torch {record["torch"]} |
| time | {record["minutes"]} minutes of training |
| seed | {record["seed"]} |
| checkpoint chosen by | {record["criterion"]} |

## Scores of that choice

| | |
|---|---|
{scores}

They rank checkpoints. They are no measure of how well patients' scans are outlined.

## Limits

- Likely to miss or shrink small, faint and patchy bleeds, and to take for a bleed what the training data do not hold.
- Whether subdural, epidural, subarachnoid and intraventricular blood is left out must be measured for each version.
- Whatever the preset "smoke" makes is for tests and demonstration alone.
"""
