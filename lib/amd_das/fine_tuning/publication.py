"""The challenger as a version of the model, with what it was measured against; put to use or kept."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amd_das.comparison.record import as_it_stands, metrics_of
from amd_das.comparison.rule import Verdict
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.model_card import inherited, model_card
from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a fine-tuning was, for the record."""

    champion: ModelInfo
    data: str
    """In words."""

    data_sets: Sequence[Mapping[str, Any]]
    """See :func:`amd_das.model_card.used`."""

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
    verdict = as_it_stands(verdict, made.champion.version, model_dir)
    record = {
        "fine_tuned_from": made.champion.version,
        "data": made.data,
        "data_sets": [*made.data_sets, *inherited(made.champion.training, made.champion.version)],
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
        metrics=metrics_of(verdict, made.champion.version),
        card=lambda info: model_card(info, network.config),
        make_current=verdict.publish,
    )
    return info, verdict
