"""The steps of the pipeline: what decides each one's output, and how it is made."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from amd_das.datasets import CaseFiles
from amd_das.datasets.splits import FILE_NAME as SPLIT
from amd_das.errors import TrainingStopped
from amd_das.files import write_whole
from amd_das.matching import Matches, match, write_sheet
from amd_das.models import list_versions
from amd_das.networks.fcn import Fcn
from amd_das.pacs.config import PacsConfig
from amd_das.phantom.files import Kind, write_cases
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.publication import publish
from amd_das.pipeline.steps import Report, Step, StepResult
from amd_das.segmentation.batches import adaptation_batches, split_patients
from amd_das.segmentation.learner import AdaptationLearner
from amd_das.segmentation.selection import RECORD as SELECTION
from amd_das.segmentation.selection import BestKeeper, Judge, best_weights
from amd_das.slices import Domain, SliceStore
from amd_das.slices.prepare import prepare
from amd_das.synthesis.batches import matched_batches
from amd_das.synthesis.learner import SynthesisLearner
from amd_das.synthesis.translate import trained_generators, translate
from amd_das.training import parallel
from amd_das.training.engine import fit
from amd_das.training.learner import seeded
from amd_das.training.progress import Progress, ProgressCallback, StopCheck
from amd_das.training.run import FitConfig, FitRecord

FIRST_SEEDS: Final[Mapping[Kind, int]] = {"flair": 200_000, "ct": 100_000}
"""Of the phantom heads; those of the test set and the samples are far below."""

SLICES, PHANTOMS, MATCHES, SHEET = "slices", "phantoms", "matches.npz", "pairs.png"

Done = Mapping[str, StepResult]
"""The steps before, by name."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every step is given."""

    config: PipelineConfig
    processes: int | None
    should_stop: StopCheck


def source(context: Context, folder: Path | None) -> Step:
    """Slices of labelled MRI."""
    return _prepared(context, "source", "flair", folder, context.config.source_heads, labelled=True)


def target(context: Context, place: Path | PacsConfig | None) -> Step:
    """Slices of CT; with labels only for the supervised bound."""
    labelled = context.config.train_on == "ct"
    return _prepared(context, "target", "ct", place, context.config.target_heads, labelled=labelled)


def _prepared(
    context: Context, domain: Domain, kind: Kind, place: Path | PacsConfig | None, heads: int, *, labelled: bool
) -> Step:
    config = replace(context.config.prepare, validation_share=context.config.validation_share)
    if place is None:
        if domain == "source":
            config = replace(config, source_slices=(0, 154))  # phantoms hold few slices, over the whole brain
        data: Any = {"phantom": kind, "first_seed": FIRST_SEEDS[kind], "heads": heads}
    else:
        data = sorted(stamp for case in cases_of(place, domain, labelled=labelled) for stamp in _stamps(case))

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        cases = place or _rendered(context, output / PHANTOMS, kind, heads, report)
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
            split=output.parent / f"split-{domain}.json",
        )
        shutil.rmtree(output / PHANTOMS, ignore_errors=True)  # with the masks, which the target must not have
        return {"cases": outcome.cases, "slices": outcome.slices, "failures": dict(outcome.failures)}

    inputs = {"data": data, "labelled": labelled, "prepare": config.record(domain)}
    return Step(name=domain, inputs=inputs, make=make)


def _stamps(case: CaseFiles) -> list[list[Any]]:
    if case.remote is not None:
        return [[case.remote.stamp]]
    return [_stamp(path) for path in (*(case.series or (case.image,)), *((case.mask,) if case.mask else ()))]


def _stamp(path: Path) -> list[Any]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]


def _rendered(context: Context, folder: Path, kind: Kind, heads: int, report: Report) -> Path:
    def after(done: int) -> None:
        if context.should_stop():
            raise TrainingStopped(f"stopped after {done} of {heads} phantom heads; start again to continue")
        report(done, 2 * heads)

    write_cases(
        count=heads,
        kind=kind,
        format="nifti",
        seed=FIRST_SEEDS[kind],
        directory=folder,
        for_training=True,
        resume=True,
        processes=context.processes,
        after=after,
    )
    return folder


def _store(done: Done, name: str) -> SliceStore:
    return SliceStore.open(done[name].folder / SLICES)


def _keys(done: Done, *names: str) -> dict[str, str]:
    return {name: done[name].key for name in names if name in done}


def matching(context: Context, done: Done) -> Step:
    """Which MRI and CT are alike (section 3.1.4)."""
    config = context.config.matching

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source, target = _store(done, "source"), _store(done, "target")
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

    return Step(name="matching", inputs={"config": asdict(config), **_keys(done, "source", "target")}, make=make)


def synthesis(context: Context, done: Done) -> Step:
    """Stage 1: learn to turn MRI into pseudo-CT (section 3.1)."""
    config = context.config
    pairs = replace(config.pairs, matching=config.matched)

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source, target, matches = _store(done, "source"), _store(done, "target"), _matches(done)
        record = fit(
            SynthesisLearner(config.synthesis, config.seed),
            matched_batches(source, target, matches, pairs, config.seed),
            config.synthesis_fit,
            output,
            progress=_reporting(report),
            should_stop=context.should_stop,
        )
        return _trained(record)

    inputs = {
        "config": asdict(config.synthesis),
        "pairs": asdict(pairs),
        "fit": _fit_inputs(config.synthesis_fit),
        "seed": config.seed,
        **_keys(done, "matching"),
    }
    return Step(name="synthesis", inputs=inputs, make=make, together=True)


def translation(context: Context, done: Done) -> Step:
    """Every MRI slice as a pseudo-CT, once, with its label."""

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source = _store(done, "source")
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

    return Step(name="translation", inputs=_keys(done, "synthesis"), make=make)


def segmentation(context: Context, done: Done) -> Step:
    """Stage 2: domain-adversarial segmentation (section 3.2), the checkpoint chosen without target labels."""
    config = context.config
    learn_from = {"pseudo_ct": "translation", "mri": "source", "ct": "target"}[config.train_on]

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        source, target = _store(done, learn_from), _store(done, "target")
        chosen, held = split_patients(source, config.validation_share, config.seed)
        target_chosen, target_held = split_patients(target, config.validation_share, config.seed)
        if config.train_on != "ct":
            chosen = _source_slices(chosen, _matches(done).matched_source, config)
        with seeded(config.seed):
            learner = AdaptationLearner(config.segmentation)
        judge = Judge((source, held), (target, target_held), config.selection)
        record = fit(
            learner,
            adaptation_batches(source, target, chosen, config.batches, config.seed, target_indices=target_chosen),
            config.segmentation_fit,
            output,
            progress=_reporting(report),
            should_stop=context.should_stop,
            validate=BestKeeper(learner, judge, output),
        )
        if parallel.rank():
            return {}  # the first process chose, and says so
        selection = json.loads((output / SELECTION).read_text())
        best = next(line for line in selection["history"] if line["step"] == selection["best"]["step"])
        return {**_trained(record), "slices": len(chosen), "criterion": judge.criterion, "best": best}

    inputs = {
        "config": asdict(config.segmentation),
        "batches": asdict(config.batches),
        "fit": _fit_inputs(config.segmentation_fit),
        "selection": asdict(config.selection),
        "matched": config.matched,
        "validation_share": config.validation_share,
        **({} if config.source_slices == "as_matched" else {"source_slices": config.source_slices}),
        "seed": config.seed,
        **_keys(done, learn_from, "matching", "target"),
    }
    return Step(name="segmentation", inputs=inputs, make=make, together=True)


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


def publication(context: Context, done: Done, model_dir: Path) -> Step:
    """The chosen network as a version of the model, put to use."""

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        network = Fcn(context.config.segmentation.network)
        network.load_state_dict(best_weights(done["segmentation"].folder))
        info = publish(network, context.config, done, model_dir)
        return {"version": info.version}

    return Step(
        name="publication",
        inputs={"model_dir": str(model_dir.resolve()), **_keys(done, "segmentation")},
        make=make,
        still_good=lambda summary: summary["version"] in list_versions(model_dir),
    )


def _matches(done: Done) -> Matches:
    return Matches.load(done["matching"].folder / MATCHES)


def _fit_inputs(config: FitConfig) -> dict[str, Any]:
    """What decides the result; not where it is trained, nor how often it is told of."""
    apart = ("device", "checkpoint_steps", "log_steps", "picture_steps")
    return {name: value for name, value in asdict(config).items() if name not in apart}


def _reporting(report: Report) -> ProgressCallback:
    def tell(now: Progress) -> None:
        report(now.step, now.total, losses=now.losses, seconds_left=now.seconds_left, message=now.message)

    return tell


def _trained(record: FitRecord) -> dict[str, Any]:
    shown = ("steps", "seconds", "device", "batch", "skipped", "messages", "losses", "validation", "torch")
    return {name: value for name, value in asdict(record).items() if name in shown}
