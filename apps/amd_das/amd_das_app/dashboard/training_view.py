"""What the dashboard says of trainings: the one at work, those in line, those before, and the forms that start one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from amd_das_app.dashboard.words import humanised, number, span, when
from amd_das_app.training.job_record import LOG as JOB_LOG
from amd_das_app.training.job_record import Job, last_lines
from amd_das_app.training.jobs import JobManager
from amd_das_app.training.process_task import ProcessTrainTask
from amd_das_app.training.progress import percent_of

STEPS: Final[Mapping[str, str]] = {
    "source": "preparing the MRI",
    "target": "preparing the CT",
    "rehearsal": "preparing phantom heads to go beside them",
    "matching": "finding pairs of MRI and CT",
    "synthesis": "learning to translate MRI to CT",
    "translation": "translating the MRI",
    "segmentation": "learning to segment",
    "publication": "publishing",
    "labels": "preparing the labelled scans",
    "fine_tuning": "learning from corrections",
    "comparison": "comparing with the model in use",
}
"""A step's name → what goes on."""

TRAINERS: Final[Mapping[str, str]] = {
    "amd_das": "Whole training (MRI to CT, then segmentation)",
    "matching": "Only prepare and match",
    "synthesis": "Only up to the translation of MRI to CT",
    "segmentation": "Only up to the segmentation, without publishing",
    "fine_tune": "Learn from corrected scans",
}
"""A trainer's name → what it does, in a list."""

HELP: Final[Mapping[str, str]] = {
    "preset": "shipped: about four hours on two cores; adapt: from the model in use on, with the CT here alone, half "
    "an hour; renew: as adapt, but a new network, an hour and a half; smoke: minutes, only to see that all works, and "
    "is not put to use; paper: days, needs a GPU.",
    "device": "Where it computes.",
    "steps": "At most so many; it ends earlier when it gets no better.",
    "learning_rate": "Larger learns faster and forgets more.",
    "frozen_stages": "0 to 5: how much of the network stays as it is. More is safer with few labels.",
}
"""A parameter's name → a line under its field."""

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "SUBMITTED": ("waiting", "warn"),
    "RUNNING": ("running", "busy"),
    "DONE": ("finished", "good"),
    "ERROR": ("failed", "bad"),
    "STOPPED": ("stopped", ""),
}
"""MONAI Label's word → ours, and the badge's kind."""

_LINES: Final = 12


@dataclass(frozen=True, kw_only=True)
class FieldView:
    """One parameter of a trainer."""

    name: str
    label: str
    kind: Literal["choice", "number", "text"]
    value: str
    choices: tuple[str, ...] = ()
    step: str = "any"
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainerView:
    """A trainer that can be started."""

    name: str
    label: str
    description: str
    fields: tuple[FieldView, ...]


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A training that was asked for."""

    id: str
    label: str
    state: str
    badge: str
    asked: str
    """What was chosen."""

    began: str
    lasted: str
    percent: float
    note: str
    stage: str = ""
    units: str = ""
    left: str = ""
    losses: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    """The end of its output."""

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """All of them."""

    shown: JobView | None
    """The one at work, or the last."""

    waiting: tuple[JobView, ...]
    earlier: tuple[JobView, ...]
    """The newest first."""


def trainers(tasks: Mapping[str, ProcessTrainTask]) -> list[TrainerView]:
    """Every trainer with its form, from the config it gives to 3D Slicer."""
    return [
        TrainerView(
            name=name,
            label=TRAINERS.get(name, humanised(name)),
            description=task.description,
            fields=tuple(_field(key, value) for key, value in task.config().items()),
        )
        for name, task in tasks.items()
    ]


def _field(name: str, value: Any) -> FieldView:
    label, line = humanised(name), HELP.get(name, "")
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        choices = tuple(map(str, value))
        return FieldView(name=name, label=label, kind="choice", value=choices[0], choices=choices, help=line)
    if isinstance(value, bool):
        return FieldView(
            name=name, label=label, kind="choice", value=str(value).lower(), choices=("true", "false"), help=line
        )
    if isinstance(value, int | float):
        step = "1" if isinstance(value, int) else "any"
        return FieldView(name=name, label=label, kind="number", value=str(value), step=step, help=line)
    return FieldView(name=name, label=label, kind="text", value=str(value), help=line)


def training(jobs: JobManager, now: float) -> TrainingView:
    """As it stands; ``now`` in seconds since the epoch."""
    shown = jobs.shown
    others = [job for job in jobs.jobs if job is not shown]
    return TrainingView(
        shown=_job(jobs, shown, now) if shown else None,
        waiting=tuple(_job(jobs, job, now) for job in others if job.status == "SUBMITTED"),
        earlier=tuple(_job(jobs, job, now) for job in reversed(others) if job.ended is not None),
    )


def _job(jobs: JobManager, job: Job, now: float) -> JobView:
    progress = jobs.progress_of(job)
    state, badge = STATES.get(job.status, (job.status.lower(), ""))
    running = job.status == "RUNNING"
    left = progress.get("seconds_left")
    return JobView(
        id=job.id,
        label=TRAINERS.get(job.model, humanised(job.model)),
        state=state,
        badge=badge,
        asked=", ".join(f"{humanised(name).lower()} {value}" for name, value in job.request.items()),
        began=when(job.began or job.submitted),
        lasted=span((job.ended or now) - job.began) if job.began else "",
        percent=100.0 if job.status == "DONE" else percent_of(progress),
        note=job.note or str(progress.get("message") or ""),
        stage=_stage(progress) or ("starting" if running else ""),
        units=f"{progress['done']:,} of {progress['total']:,}" if progress.get("total") else "",
        left=f"about {span(left)} left in this step" if running and left is not None else "",
        losses=tuple((humanised(name), number(value)) for name, value in (progress.get("losses") or {}).items()),
        lines=tuple(last_lines(jobs.folder_of(job) / JOB_LOG, _LINES)),
    )


def _stage(progress: Mapping[str, Any]) -> str:
    step = str(progress.get("step") or "")
    if not step:
        return ""
    place = f"step {progress['number']} of {progress['count']}: " if progress.get("count") else ""
    return place + STEPS.get(step, humanised(step).lower())
