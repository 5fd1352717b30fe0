"""The steps of a fine-tuning: what decides each one's output, and how it is made."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from amd_das.comparison.rule import Verdict, decide
from amd_das.comparison.volumes import CHALLENGER, CHAMPION, compare, pairs_of
from amd_das.datasets.splits import digest
from amd_das.fine_tuning import labels as label_slices
from amd_das.fine_tuning.batches import labelled_batches
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.data import SPLIT, Context, Data
from amd_das.fine_tuning.judging import HeldOutJudge, LastJudge, wrong_slices
from amd_das.fine_tuning.labels import prepare_labels
from amd_das.fine_tuning.learner import FineTuneLearner
from amd_das.fine_tuning.publication import Made, publish
from amd_das.inference import InferenceConfig, Predictor
from amd_das.models import as_published, list_versions
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.steps import Report, Step, StepResult
from amd_das.segmentation.config import SelectionConfig
from amd_das.segmentation.scores import pooled_dice
from amd_das.segmentation.selection import RECORD as SELECTION
from amd_das.segmentation.selection import BestKeeper, best_weights
from amd_das.training.checkpoints import NAME as CHECKPOINT
from amd_das.training.engine import fit
from amd_das.training.learner import seeded
from amd_das.training.progress import Progress
from amd_das.training.run import FitConfig


def labels(context: Context) -> Step:
    """Labelled scans as slices."""
    config = context.config.prepare

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        return prepare_labels(
            context.cases,
            output,
            config,
            processes=context.processes,
            progress=report,
            should_stop=context.should_stop,
        )

    inputs = {"data": sorted(one.stamp for one in context.cases), "prepare": config.record("target")}
    return Step(name="labels", inputs=inputs, make=make)


def training(context: Context, data: Data) -> Step:
    """Learn, from the weights in use."""
    config, champion = context.config, context.champion

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        for note in data.notes:
            report(0, 1, message=note)
        with seeded(config.seed):
            learner = FineTuneLearner(champion.network.config, champion.network.state_dict(), config)
        judge = HeldOutJudge(data.ct_held, data.pseudo_ct_held, most=config.judge_slices) if data.held else LastJudge()
        keeper = BestKeeper(learner, judge, output)
        wrong = wrong_slices(champion.network, data.ct, config.wrong_px)
        record = fit(
            learner,
            labelled_batches(data.ct, data.pseudo_ct, config, wrong=wrong),
            _fit_config(config, held_out=bool(data.held)),
            output,
            progress=lambda now: _tell(report, now),
            should_stop=context.should_stop,
            validate=keeper,
            enough=(lambda: keeper.looks_since_best() >= config.patience) if data.held else None,
        )
        selection = json.loads((output / SELECTION).read_text())
        best = next(line for line in selection["history"] if line["step"] == selection["best"]["step"])
        shown = ("steps", "seconds", "device", "skipped", "messages", "losses", "torch")
        return {
            **{name: getattr(record, name) for name in shown},
            "criterion": judge.criterion,
            "best": best,
            "data": data.in_words(),
        }

    left_out = ("rule", "prepare")
    settings = {name: value for name, value in as_json(config).items() if name not in left_out}
    inputs = {"data": data.record(), "champion": champion.info.checksum, "config": settings}
    return Step(name="fine_tuning", inputs=inputs, make=make)


def comparison(context: Context, data: Data, trained: StepResult) -> Step:
    """Champion and challenger on whole held-out scans, and what comes of it."""
    config, champion = context.config, context.champion

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        device = None if config.device == "auto" else config.device
        challenger = as_published(_network(context, trained))
        predictors = {
            CHAMPION: Predictor(champion, device=device),
            CHALLENGER: Predictor(challenger, device=device),
        }
        rows = compare(
            [one.files for one in data.held], predictors, output, progress=report, should_stop=context.should_stop
        )
        forgetting = None
        if data.pseudo_ct_held is not None:
            judged = SelectionConfig()
            before, after = (
                pooled_dice(model.network, *data.pseudo_ct_held, judged) for model in (champion, challenger)
            )
            forgetting = (before, after)
        verdict = decide(pairs_of(rows), config.rule, config.seed, pseudo_ct=forgetting)
        failed = {case: row["error"] for case, row in rows.items() if "error" in row}
        return {"verdict": asdict(verdict), "failures": failed}

    inputs = {
        "fine_tuning": trained.key,
        "champion": champion.info.checksum,
        "rule": asdict(config.rule),
        "inference": asdict(InferenceConfig()),
    }
    return Step(name="comparison", inputs=inputs, make=make)


def publication(context: Context, data: Data, trained: StepResult, compared: StepResult) -> Step:
    """The version: put to use, or kept with the reason."""

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        made = Made(
            champion=context.champion.info,
            data=trained.summary["data"],
            data_sets=data.sets(),
            data_key=data.key,
            split=digest(context.workdir / SPLIT),
            notes=data.notes,
            training=trained.summary,
        )
        verdict = Verdict(**compared.summary["verdict"])
        network = _network(context, trained)
        if _same_on_disk(network, context.champion.network):
            reason = "training has changed no weight by as much as half precision holds"
            return {"version": None, "published": False, "reason": reason}
        info, said = publish(network, context.config, made, verdict, context.model_dir)
        return {"version": info.version, "published": said.publish, "reason": said.reason}

    return Step(
        name="publication",
        inputs={"model_dir": str(context.model_dir.resolve()), "comparison": compared.key},
        make=make,
        still_good=lambda summary: summary["version"] in (None, *list_versions(context.model_dir)),
    )


def tidy(done: Mapping[str, StepResult]) -> None:
    """Remove what later runs have no use for: earlier slices and trainings, and this one's checkpoint."""
    for name in ("labels", "fine_tuning"):
        label_slices.remove_earlier(done[name].folder)
    (done["fine_tuning"].folder / CHECKPOINT).unlink(missing_ok=True)


def as_json(config: FineTuneConfig) -> dict[str, Any]:
    """What of the configuration decides the result, as a record of it reads."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return {name: value for name, value in found.items() if name != "device"}


def _network(context: Context, trained: StepResult) -> Fcn:
    network = Fcn(context.champion.network.config)
    network.load_state_dict(best_weights(trained.folder))
    return network


def _same_on_disk(one: Fcn, other: Fcn) -> bool:
    """Whether both are one version: it would take the other's place, record and all."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first.half(), second.half()) for first, second in pairs)


def _fit_config(config: FineTuneConfig, *, held_out: bool) -> FitConfig:
    return FitConfig(
        steps=config.steps if held_out else config.few_steps,
        batch=config.batch,
        checkpoint_steps=config.validate_steps,
        log_steps=max(1, config.validate_steps // 4),
        picture_steps=0,
        validate_steps=config.validate_steps if held_out else 0,
        precision=config.precision,
        device=config.device,
        seed=config.seed,
    )


def _tell(report: Report, now: Progress) -> None:
    report(now.step, now.total, losses=now.losses, seconds_left=now.seconds_left, message=now.message)
