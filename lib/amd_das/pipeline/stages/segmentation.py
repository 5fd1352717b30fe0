"""Stage 2, and the self-training after it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from amd_das.errors import TrainingError
from amd_das.files import write_whole
from amd_das.models import LoadedModel
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.stages.common import (
    SLICES,
    Context,
    Done,
    fit_inputs,
    keys,
    last_trained,
    matches_of,
    reporting,
    store_of,
    trained,
)
from amd_das.pipeline.steps import Report, Step
from amd_das.segmentation.batches import BatchAt, BatchConfig, adaptation_batches, split_patients
from amd_das.segmentation.learner import AdaptationLearner
from amd_das.segmentation.selection import BEST, BestKeeper, Judge, best_weights
from amd_das.segmentation.selection import RECORD as SELECTION
from amd_das.segmentation.self_training import SelfTrainingConfig, mixed_batches, painted_batches, pseudo_labels
from amd_das.slices import SliceStore
from amd_das.training import parallel
from amd_das.training.engine import fit
from amd_das.training.learner import seeded
from amd_das.training.progress import ProgressCallback
from amd_das.training.run import FitConfig

_REHEARSAL: Final = "rehearsal"
"""Folder of the phantom slices with what was predicted on them, beside that of the target's."""

_APART: Final = 1000
"""Seeds of both, so that not the same is painted into both."""


def segmentation(context: Context, done: Done) -> Step:
    """Stage 2: domain-adversarial segmentation (section 3.2), the checkpoint chosen without target labels."""
    config = context.config

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        data = _data(config, done)
        with seeded(config.seed):
            learner = AdaptationLearner(config.segmentation)
        batches = _of_both(data, config.batches, config.seed)
        return _learn(context, learner, batches, config.segmentation_fit, data, output, reporting(report))

    inputs = {
        "config": asdict(config.segmentation),
        "batches": asdict(config.batches),
        "fit": fit_inputs(config.segmentation_fit),
        "selection": asdict(config.selection),
        "matched": config.matched,
        "validation_share": config.validation_share,
        **({} if config.source_slices == "as_matched" else {"source_slices": config.source_slices}),
        "seed": config.seed,
        **keys(done, _learn_from(config), "matching", "target"),
    }
    return Step(name="segmentation", inputs=inputs, make=make, together=True)


def self_training(context: Context, done: Done, number: int) -> Step:
    """A round, from 1: the target is predicted, and learnt from where the network is sure of it."""
    config = context.config
    settings = config.self_training[number - 1]
    fitting, seed = settings.fit, config.seed + number - 1
    published = context.published if number == 1 else None
    before = "the model in use" if published else last_trained(done)

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        data = _data(config, done)
        with seeded(seed):
            learner = AdaptationLearner(settings.adaptation(config.segmentation))
        teacher = Fcn(config.segmentation.network)
        teacher.load_state_dict(published.network.state_dict() if published else best_weights(done[before].folder))
        if not settings.afresh:
            learner.start_from(teacher.state_dict())
        if not parallel.rank():
            report(0, fitting.steps, message=f"self-training, round {number} of {len(config.self_training)}")
            for part, folder in ((data.target, SLICES), (data.rehearsal, _REHEARSAL)):
                if part:
                    pseudo_labels(
                        teacher,
                        part.store,
                        part.chosen,
                        output / folder,
                        settings,
                        device=fitting.device,
                        progress=lambda cases, count: report(0, fitting.steps),
                        should_stop=context.should_stop,
                    )
        parallel.wait()
        labelled = SliceStore.open(output / SLICES)
        if not len(labelled):
            message = "the network is sure of no target slice, so there is nothing to learn from"
            if published:
                raise TrainingError(f"{message}; the model in use stays as it is")
            report(1, 1, message=message)
            write_whole(output / BEST, (done[before].folder / BEST).read_bytes())
            return {**done[before].summary, "seconds": 0.0, "messages": [message]}
        rehearsed = SliceStore.open(output / _REHEARSAL) if data.rehearsal else None
        batches = _predicted(config, data, labelled, rehearsed, settings, seed)
        return _learn(context, learner, batches, fitting, data, output, reporting(report))

    inputs = {
        "config": {name: value for name, value in asdict(settings).items() if name != "fit"},
        "fit": fit_inputs(fitting),
        "batches": asdict(config.batches),
        "seed": seed,
        **(_from_published(published, config, done) if published else keys(done, before)),
    }
    return Step(name=f"self_training_{number}", inputs=inputs, make=make, together=True)


def _from_published(published: LoadedModel, config: PipelineConfig, done: Done) -> dict[str, Any]:
    """What decides the first round's result where no stage came before."""
    return {
        "published": published.info.checksum,
        "segmentation": asdict(config.segmentation),
        "selection": asdict(config.selection),
        "validation_share": config.validation_share,
        **keys(done, "target", "rehearsal"),
    }


class _Part(NamedTuple):
    """Slices of a domain: a store, and which of it are learnt from and which judge."""

    store: SliceStore
    chosen: np.ndarray
    held: np.ndarray


class _Data(NamedTuple):
    """Both domains; from a published model on the target alone, with phantom heads beside it or not."""

    source: _Part | None
    target: _Part
    rehearsal: _Part | None = None


def _learn_from(config: PipelineConfig) -> str:
    return {"pseudo_ct": "translation", "mri": "source", "ct": "target"}[config.train_on]


def _data(config: PipelineConfig, done: Done) -> _Data:
    store = store_of(done, "target")
    target = _Part(store, *split_patients(store, config.validation_share, config.seed))
    if config.starts_from == "published":
        if "rehearsal" not in done:
            return _Data(None, target)
        store = store_of(done, "rehearsal")
        return _Data(None, target, _Part(store, *split_patients(store, config.validation_share, config.seed)))
    store = store_of(done, _learn_from(config))
    chosen, held = split_patients(store, config.validation_share, config.seed)
    if config.train_on != "ct":
        chosen = _source_slices(chosen, matches_of(done).matched_source, config)
    return _Data(_Part(store, chosen, held), target)


def _learn(
    context: Context,
    learner: AdaptationLearner,
    batches: BatchAt,
    fitting: FitConfig,
    data: _Data,
    output: Path,
    progress: ProgressCallback,
) -> dict[str, Any]:
    """Train, keep the best, and say what came of it; nothing is said by any process but the first."""
    source = (data.source.store, data.source.held) if data.source else None
    judge = Judge(source, (data.target.store, data.target.held), context.config.selection)
    record = fit(
        learner,
        batches,
        fitting,
        output,
        progress=progress,
        should_stop=context.should_stop,
        validate=BestKeeper(learner, judge, output),
    )
    if parallel.rank():
        return {}
    selection = json.loads((output / SELECTION).read_text())
    best = next(line for line in selection["history"] if line["step"] == selection["best"]["step"])
    slices = len((data.source or data.target).chosen)
    return {**trained(record), "slices": slices, "criterion": judge.criterion, "best": best}


def _of_both(data: _Data, config: BatchConfig, seed: int) -> BatchAt:
    assert data.source
    target, chosen = data.target.store, data.target.chosen
    return adaptation_batches(data.source.store, target, data.source.chosen, config, seed, target_indices=chosen)


def _predicted(
    config: PipelineConfig,
    data: _Data,
    labelled: SliceStore,
    rehearsed: SliceStore | None,
    settings: SelfTrainingConfig,
    seed: int,
) -> BatchAt:
    """Batches of target slices with what was predicted on them; of pseudo-CT, or of phantom CT with what was predicted
    on them, as well, where there are any."""

    def predicted(store: SliceStore, seed: int) -> BatchAt:
        return painted_batches(store, settings, config.batches.augment, seed, patch=config.batches.patch)

    target = predicted(labelled, seed)
    if rehearsed is not None and len(rehearsed):
        return mixed_batches(predicted(rehearsed, seed + _APART), target, settings.share)
    if data.source is None:
        return target
    return mixed_batches(_of_both(data, replace(config.batches, augment_target=False), seed), target, settings.share)


def _source_slices(chosen: np.ndarray, matched: np.ndarray, config: PipelineConfig) -> np.ndarray:
    """(n,) slices that may be learnt from → those that are, ascending."""
    which = config.source_slices
    fits = np.intersect1d(chosen, matched)
    if which == "as_matched":
        return fits if config.matched else chosen
    pool = np.setdiff1d(chosen, matched) if "unmatched" in which else chosen
    if not which.startswith("random"):
        return pool
    count = min(len(fits), len(pool))
    return np.sort(np.random.default_rng([config.seed, len(pool)]).permutation(pool)[:count])
