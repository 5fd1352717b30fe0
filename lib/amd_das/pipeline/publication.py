"""A version of the model from a finished run: weights, what made them, and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amd_das.comparison.record import as_it_stands, metrics_of
from amd_das.comparison.rule import Verdict
from amd_das.model_card import inherited, model_card, used
from amd_das.models import ModelInfo, save_version, version_in_use
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.steps import StepResult
from amd_das.slices import SliceStore

_LABELS = {
    "pseudo_ct": "of the MRI alone: no CT label took part in training or in the choice of the checkpoint",
    "mri": "of the MRI alone: no CT label took part in training or in the choice of the checkpoint",
    "ct": "of the CT (supervised)",
}


def publish(
    network: Fcn,
    config: PipelineConfig,
    done: Mapping[str, StepResult],
    stores: Mapping[str, SliceStore],
    model_dir: Path,
    *,
    before: ModelInfo | None = None,
    verdict: Verdict | None = None,
) -> tuple[ModelInfo, str]:
    """Write the network as a version and, where the run was made for that, put it to use; all about it goes with it.

    Args:
        network: what was chosen.
        config: of the run.
        done: its steps.
        stores: slices of "source" and "target"; of the target, and of "rehearsal" where there was one, if the run
            went on from a version.
        model_dir: receives the version.
        before: the version that the run went on from, whose data remain.
        verdict: of the comparison with it.

    Returns:
        The version, and why it is not in use; "" where it is.
    """
    trained = [result.summary for result in done.values() if "seconds" in result.summary]
    last = trained[-1]
    found = {name: done[name].summary for name in stores}
    counts = [f"{name}: {summary['cases']} cases, {summary['slices']} slices" for name, summary in found.items()]
    record = {
        "preset": config.name,
        "data": "; ".join(counts),
        "data_sets": [
            *(line for name, store in stores.items() for line in _used(store, name, config)),
            *(inherited(before.training, before.version) if before else ()),
        ],
        "labels": f"none; those of {before.version}: {before.training.get('labels', 'not recorded')}"
        if before
        else _LABELS[config.train_on],
        **({"adapted_from": before.version} if before else {}),
        "device": "; ".join(dict.fromkeys(str(summary["device"]) for summary in trained)),
        "torch": last["torch"],
        "minutes": round(sum(summary["seconds"] for summary in trained) / 60, 1),
        "seed": config.seed,
        "criterion": last["criterion"],
        "steps": {name: result.key for name, result in done.items()},
        "config": asdict(config),
    }
    metrics: dict[str, Any] = {name: round(value, 4) for name, value in last["best"].items()}
    kept = ""
    if before and verdict:
        verdict = as_it_stands(verdict, before.version, model_dir)
        kept = "" if verdict.publish else verdict.reason
        metrics |= metrics_of(verdict, before.version)
    if not config.for_use and version_in_use(model_dir):
        kept = f"weights of the preset {config.name!r} are of no use beyond seeing every step work"
        metrics |= {"published": False, "reason": kept}
    info = save_version(
        model_dir,
        network,
        training=record,
        metrics=metrics,
        card=lambda info: model_card(info, network.config),
        make_current=not kept,
    )
    return info, kept


def _used(store: SliceStore, name: str, config: PipelineConfig) -> list[dict[str, Any]]:
    """The data sets of a domain or of the rehearsal, and what they were to the training."""
    labelled = name == ("target" if config.train_on == "ct" else "source")
    use = f"{name}, {'with' if labelled else 'without'} labels"
    return used(store.cases, use)
