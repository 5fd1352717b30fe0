"""The challenger as a version of the model, with what it was measured against; put to use or kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.rule import Verdict
from amd_das.models import ModelInfo, current_version, save_version
from amd_das.networks.fcn import Fcn


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a fine-tuning was, for the record."""

    champion: ModelInfo
    data: str
    """In words."""

    data_key: str
    """Changes when any label or the pseudo-CT does."""

    split: str
    """Name of the split it was made under."""

    notes: tuple[str, ...]
    """What a reader of the card should know."""

    training: Mapping[str, Any]
    """Summary of the training."""


def publish(
    network: Fcn, config: FineTuneConfig, made: Made, verdict: Verdict, model_dir: Path
) -> tuple[ModelInfo, Verdict]:
    """Write the version, and put it to use if the verdict says so and the champion is still in use.

    Returns:
        The version, and the verdict as it stands in its record.
    """
    if verdict.publish and current_version(model_dir) != made.champion.version:
        verdict = Verdict(
            publish=False,
            reason=f"{current_version(model_dir)} was put to use meanwhile, and it was compared with "
            f"{made.champion.version}; {verdict.reason}",
            numbers=verdict.numbers,
        )
    metrics = {
        **verdict.numbers,
        "champion": {"version": made.champion.version},
        "published": verdict.publish,
        "reason": verdict.reason,
    }
    record = {
        "fine_tuned_from": made.champion.version,
        "data": made.data,
        "labels": "CT labelled or corrected by hand",
        "data_key": made.data_key,
        "split": made.split,
        "notes": list(made.notes),
        "device": made.training["device"],
        "torch": made.training["torch"],
        "minutes": round(made.training["seconds"] / 60, 1),
        "steps": made.training["steps"],
        "criterion": made.training["criterion"],
        "seed": config.seed,
        "config": asdict(config),
    }
    info = save_version(
        model_dir,
        network,
        training=record,
        metrics=metrics,
        card=_card(record, verdict),
        make_current=verdict.publish,
    )
    return info, verdict


def _card(record: Mapping[str, Any], verdict: Verdict) -> str:
    scores = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in verdict.numbers.items())
    notes = "".join(f"- {note}\n" for note in record["notes"])
    return f"""# Model card: AMD-DAS FCN, fine-tuned on labelled CT

**{RESEARCH_NOTICE}**

| | |
|---|---|
| task | outline intraparenchymal hemorrhage on non-contrast head CT, slice by slice |
| network | FCN with a VGG-16 encoder, one channel, `amd_das.networks.fcn` |
| fine-tuned from | {record["fine_tuned_from"]} |
| learnt from | {record["data"]} |
| labels | {record["labels"]} |
| device | {record["device"]}, torch {record["torch"]} |
| time | {record["minutes"]} minutes of training, {record["steps"]} steps |
| seed | {record["seed"]} |
| checkpoint chosen by | {record["criterion"]} |

## Against the model before, on whole held-out scans

**{"Published" if verdict.publish else "Kept, not published"}**: {verdict.reason}.

| | |
|---|---|
{scores}

Dice is the mean over scans with a bleed, false positives the mean over scans without one.

## Limits

{notes}- The held-out scans chose the checkpoint too, and are few: the numbers say whether the model is worse than the
  one before, and not how well it outlines other patients' scans.
- It has learnt the habits of those who corrected, and of their scanners.
"""
