"""The pipeline: labelled MRI and unlabelled CT in, a published model version out.

Where no folder is given, phantom heads stand in: FLAIR with glioma and its masks as the source, CT without masks as the
target. No CT label takes part in any step, unless the configuration asks for the supervised bound.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from amd_das.datasets import CaseFiles
from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.models import load_current
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline import stages
from amd_das.pipeline.config import PipelineConfig, StartsFrom, TrainOn
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.steps import PipelineCallback, Runner, Step, StepResult, only_one
from amd_das.slices import Domain
from amd_das.slices.cases import prepare_case
from amd_das.training import parallel
from amd_das.training.progress import StopCheck

SHARES: Final[Mapping[str, float]] = {
    "source": 4.0,
    "target": 4.0,
    "rehearsal": 4.0,
    "matching": 1.0,
    "synthesis": 30.0,
    "translation": 3.0,
    "segmentation": 25.0,
    "self_training": 40.0,
    "comparison": 5.0,
    "publication": 1.0,
}
"""The steps in order, with their usual parts of the time; "self_training" is as many steps as there are rounds."""

STEPS: Final = tuple(SHARES)

_UNUSED: Final[Mapping[TrainOn | StartsFrom, tuple[str, ...]]] = {
    "pseudo_ct": ("rehearsal", "comparison"),
    "mri": ("rehearsal", "synthesis", "translation", "comparison"),
    "ct": ("rehearsal", "synthesis", "translation", "comparison"),
    "published": ("source", "matching", "synthesis", "translation", "segmentation"),
}

_PROBED: Final = 3


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    """What a run came to."""

    steps: Mapping[str, StepResult]
    """Those that were run or found up to date, in order."""

    version: str | None
    """The model version made; None where the run ended before publication."""

    kept: str = ""
    """Why that version was not put to use; "" where it was."""


def check(
    config: PipelineConfig, *, source: Path | None, target: Path | PacsConfig | None, until: str = STEPS[-1]
) -> None:
    """What can be known before work starts.

    Raises:
        ConfigError: no such step.
        NotFoundError, TrainingError, InputError: a folder is missing, or holds nothing to learn from.
        PacsError: the target is a PACS that does not answer.
    """
    _steps_of(config, until, own=target is not None)
    if source is not None and config.starts_from == "published":
        raise ConfigError(f"{config.name} goes on from the model in use, with CT alone; leave the MRI in {source} out")
    if source is not None:
        cases = cases_of(source, "source", labelled=True)
        if not any(case.mask for case in cases):
            raise TrainingError(
                f"none of the {len(cases)} MRIs in {source} has a mask; expected labelsTr/NAME.nii.gz or "
                "masks/NAME-glioma.nii.gz for each image NAME.nii.gz"
            )
        _check_cases([case for case in cases if case.mask], "source", source, config)
    if target is not None:
        where = f"the PACS at {target.shown}" if isinstance(target, PacsConfig) else target
        _check_cases(cases_of(target, "target", labelled=False), "target", where, config)


def _check_cases(cases: Sequence[CaseFiles], domain: Domain, folder: Path | str, config: PipelineConfig) -> None:
    """Enough patients, and among the first few cases one that is what it should be."""
    patients = {case.patient for case in cases}
    if len(patients) < 2:
        raise TrainingError(
            f"{folder} holds scans of {len(patients)} patient(s); at least 2 are needed as {domain}, to learn from "
            "some and validate with others"
        )
    for case in cases[:_PROBED]:
        found = prepare_case(case, domain, config.prepare, labelled=domain == "source")
        if not isinstance(found, str):
            return
    raise TrainingError(f"the first {len(cases[:_PROBED])} {domain} cases cannot be used. {case.case}: {found}")


def _steps_of(config: PipelineConfig, until: str, *, own: bool) -> dict[str, float]:
    """The steps to be run, in order, with their parts of the time; each round of self-training is a step.

    Phantoms are rehearsed beside a target of one's ``own``, not beside phantoms.
    """
    if until not in STEPS:
        raise ConfigError(f"no step {until!r}; expected one of {', '.join(STEPS)}")
    unused = _UNUSED[config.train_on if config.starts_from == "source" else "published"]
    if not own or not config.rehearsal_heads:
        unused = (*unused, "rehearsal")
    if until in unused:
        used = [name for name in STEPS if name not in unused]
        raise ConfigError(f"{config.name} has no step {until!r}; expected one of {', '.join(used)}")
    rounds = [settings.fit.steps for settings in config.self_training] if config.train_on != "ct" else []
    found: dict[str, float] = {}
    for name in STEPS[: STEPS.index(until) + 1]:
        if name == "self_training":
            found |= {f"{name}_{number}": SHARES[name] * part / sum(rounds) for number, part in enumerate(rounds, 1)}
        elif name not in unused:
            found[name] = SHARES[name]
    return found


def run(
    config: PipelineConfig,
    workdir: Path,
    model_dir: Path,
    *,
    source: Path | None = None,
    target: Path | PacsConfig | None = None,
    until: str = STEPS[-1],
    processes: int | None = None,
    progress: PipelineCallback | None = None,
    should_stop: StopCheck | None = None,
) -> PipelineResult:
    """Run what is not up to date; started by torchrun, its processes train together.

    Args:
        config: usually a preset.
        workdir: receives a folder for each step; kept, so that the next run does only what changed.
        model_dir: receives the new version; holds the one to go on from, where the configuration says so.
        source: labelled MRI in a layout of :mod:`amd_das.datasets`; None for phantom FLAIR.
        target: head CT, in a folder of such a layout or in a PACS; None for phantom CT.
        until: the last step to be run.
        processes: that prepare cases; None for one for each processor.
        progress: told about once a second.
        should_stop: asked often; True ends the run, what is done kept.

    Raises:
        TrainingError: what it says; the steps done so far stay.
        ModelError: there is no model in use to go on from.
        PacsError: the PACS does not answer any more; the slices taken so far stay.
        TrainingStopped: ``should_stop`` said so.
    """
    check(config, source=source, target=target, until=until)
    shares = _steps_of(config, until, own=target is not None)
    stopping = should_stop or (lambda: False)
    done: dict[str, StepResult] = {}
    published = load_current(model_dir) if config.starts_from == "published" else None
    if published:  # its width is kept
        config = replace(config, segmentation=replace(config.segmentation, network=published.network.config))
    context = stages.Context(config=config, processes=processes, should_stop=stopping, published=published)
    rounds = [name for name in shares if name.startswith("self_training")]
    plan: dict[str, Callable[[], Step]] = {
        "source": lambda: stages.source(context, source),
        "target": lambda: stages.target(context, target),
        "rehearsal": lambda: stages.rehearsal(context),
        "matching": lambda: stages.matching(context, done),
        "synthesis": lambda: stages.synthesis(context, done),
        "translation": lambda: stages.translation(context, done),
        "segmentation": lambda: stages.segmentation(context, done),
        **{name: partial(stages.self_training, context, done, number) for number, name in enumerate(rounds, start=1)},
        "comparison": lambda: stages.comparison(context, done),
        "publication": lambda: stages.publication(context, done, model_dir),
    }
    with parallel.processes(), only_one(workdir):
        runner = Runner(workdir, shares, progress)
        for name in shares:
            if stopping():
                raise TrainingStopped(f"stopped before {name}; start again to continue")
            done[name] = runner.run(plan[name]())
    if "publication" not in done:
        return PipelineResult(steps=done, version=None)
    summary = done["publication"].summary
    return PipelineResult(steps=done, version=str(summary["version"]), kept=str(summary.get("kept", "")))
