"""What every stage is given, and what its record says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from amd_das.matching import Matches
from amd_das.models import LoadedModel
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.steps import Report, StepResult
from amd_das.segmentation.selection import best_weights
from amd_das.slices import SliceStore
from amd_das.training.progress import Progress, ProgressCallback, StopCheck
from amd_das.training.run import FitConfig, FitRecord

SLICES, MATCHES = "slices", "matches.npz"

Done = Mapping[str, StepResult]
"""The steps before, by name."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every step is given."""

    config: PipelineConfig
    processes: int | None
    should_stop: StopCheck
    published: LoadedModel | None = None
    """What self-training starts from, where it does not start from stage 2."""


def store_of(done: Done, name: str) -> SliceStore:
    return SliceStore.open(done[name].folder / SLICES)


def keys(done: Done, *names: str) -> dict[str, str]:
    return {name: done[name].key for name in names if name in done}


def matches_of(done: Done) -> Matches:
    return Matches.load(done["matching"].folder / MATCHES)


def fit_inputs(config: FitConfig) -> dict[str, Any]:
    """What decides the result; not where it is trained, nor how often it is told of."""
    apart = ("device", "checkpoint_steps", "log_steps", "picture_steps")
    return {name: value for name, value in asdict(config).items() if name not in apart}


def reporting(report: Report) -> ProgressCallback:
    def tell(now: Progress) -> None:
        report(now.step, now.total, losses=now.losses, seconds_left=now.seconds_left, message=now.message)

    return tell


def last_trained(done: Done) -> str:
    """Name of the step whose network is to be used next."""
    return [name for name in done if name.startswith(("segmentation", "self_training"))][-1]


def network_of(context: Context, done: Done) -> Fcn:
    """What the trainings so far have come to."""
    network = Fcn(context.config.segmentation.network)
    network.load_state_dict(best_weights(done[last_trained(done)].folder))
    return network


def trained(record: FitRecord) -> dict[str, Any]:
    shown = ("steps", "seconds", "device", "batch", "skipped", "messages", "losses", "validation", "torch")
    return {name: value for name, value in asdict(record).items() if name in shown}
