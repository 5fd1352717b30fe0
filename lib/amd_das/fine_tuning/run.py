"""Fine-tuning, from labels to a version: prepare, split, train, compare, publish or keep."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.fine_tuning import stages
from amd_das.fine_tuning.cases import LabelledCase, check_labels, labelled_cases
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.data import Context, Data
from amd_das.models import LoadedModel, load_current
from amd_das.networks.fcn import parameter_count
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.steps import PipelineCallback, Runner, StepResult, only_one
from amd_das.slices.prepare import TARGET_SLICES
from amd_das.slices.store import SLICE_BYTES
from amd_das.training.progress import StopCheck

SHARES: Final[Mapping[str, float]] = {"labels": 15.0, "fine_tuning": 62.0, "comparison": 22.0, "publication": 1.0}
"""The steps in order, with their usual parts of the time."""

_STATES = 5
"""Float32 copies of the network that are written: weights, average, two of the optimiser, the best."""


@dataclass(frozen=True, kw_only=True)
class FineTuneResult:
    """What a run came to."""

    steps: Mapping[str, StepResult]
    """Those that were run or found up to date, in order."""

    version: str | None
    """The version that was made; None where nothing had changed."""

    published: bool
    """Whether it was put to use."""

    reason: str
    """In words."""


def check(
    place: Path | PacsConfig, workdir: Path, model_dir: Path, config: FineTuneConfig, *, submitted: bool = False
) -> None:
    """What can be known before work starts; arguments as for :func:`run`.

    Raises:
        TrainingError: no label, labels that cannot be read or are all empty, no room on the disk.
        ModelError: there is no sound model to start from.
        NotFoundError, UnreadableError, NotHeadCtError, PacsError: no scans.
    """
    _checked(place, workdir, model_dir, config, submitted=submitted)


def _checked(
    place: Path | PacsConfig, workdir: Path, model_dir: Path, config: FineTuneConfig, *, submitted: bool
) -> tuple[list[LabelledCase], LoadedModel]:
    cases = labelled_cases(place, submitted=submitted)
    check_labels(cases)
    champion = load_current(model_dir)
    stages_of_network = len(champion.network.config.stages)
    if config.frozen_stages > stages_of_network:
        raise ConfigError(
            f"frozen_stages {config.frozen_stages}: the model in use has {stages_of_network} encoder stages"
        )
    needed = len(cases) * TARGET_SLICES * 2 * SLICE_BYTES + _STATES * 4 * parameter_count(champion.network)
    there = next(folder for folder in (workdir, *workdir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise TrainingError(
            f"fine-tuning on {len(cases)} scans needs about {needed / 2**20:.0f} MiB in {workdir}, "
            f"{free / 2**20:.0f} MiB are free; make room, or choose another folder"
        )
    return cases, champion


def run(
    place: Path | PacsConfig,
    workdir: Path,
    model_dir: Path,
    config: FineTuneConfig | None = None,
    *,
    submitted: bool = False,
    processes: int | None = None,
    progress: PipelineCallback | None = None,
    should_stop: StopCheck | None = None,
) -> FineTuneResult:
    """Learn from the labels of a folder or a PACS, and publish the new model if it is not worse.

    Args:
        place: scans and labels, see :func:`amd_das.fine_tuning.cases.labelled_cases`.
        workdir: receives a folder for each step, and the split; pseudo-CT of a pipeline that worked there is used.
        model_dir: holds the model to start from, and receives the new version.
        config: see there.
        submitted: of a folder, learn only from what a server has saved as final.
        processes: that prepare scans; None for one for each processor.
        progress: told about once a second.
        should_stop: asked often; True ends the run, what is done kept.

    Raises:
        TrainingError, ModelError, PacsError: what they say; the steps done so far stay.
        TrainingStopped: ``should_stop`` said so.
    """
    config = config or FineTuneConfig()
    stopping = should_stop or (lambda: False)
    with only_one(workdir):
        cases, champion = _checked(place, workdir, model_dir, config, submitted=submitted)
        context = Context(
            config=config,
            cases=cases,
            champion=champion,
            workdir=workdir,
            model_dir=model_dir,
            processes=processes,
            should_stop=stopping,
        )
        runner = Runner(workdir, SHARES, progress)
        done: dict[str, StepResult] = {"labels": runner.run(stages.labels(context))}
        data = Data.of(context, done["labels"])
        if _learnt_before(champion, data, config):
            reason = f"no label has changed since {champion.info.version}, which is in use, was made from them"
            return FineTuneResult(steps=done, version=None, published=False, reason=reason)
        plan = {
            "fine_tuning": lambda: stages.training(context, data),
            "comparison": lambda: stages.comparison(context, data, done["fine_tuning"]),
            "publication": lambda: stages.publication(context, data, done["fine_tuning"], done["comparison"]),
        }
        for name, step in plan.items():
            if stopping():
                raise TrainingStopped(f"stopped before {name}; start again to continue")
            done[name] = runner.run(step())
        stages.tidy(done)
    summary: Mapping[str, Any] = done["publication"].summary
    return FineTuneResult(
        steps=done, version=summary["version"], published=summary["published"], reason=summary["reason"]
    )


def _learnt_before(champion: LoadedModel, data: Data, config: FineTuneConfig) -> bool:
    training = champion.info.training
    before = {name: value for name, value in (training.get("config") or {}).items() if name != "device"}
    return training.get("data_key") == data.key and before == stages.as_json(config)
