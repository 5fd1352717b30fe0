"""How a stage is trained, what changes as it goes on, and what is said of it in the end."""

from dataclasses import dataclass, field
from typing import Any

from amd_das.errors import ConfigError
from amd_das.training.device import Precision


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a stage is trained, whatever it learns. What the paper says of it is the batch; the rest is ours."""

    steps: int
    """Optimiser steps in all."""

    batch: int
    """Items per step, of all processes together (paper: 2 in stage 1, 12 in stage 2)."""

    checkpoint_steps: int = 500
    """A checkpoint every so many steps: what a crash or a restored state costs at most."""

    log_steps: int = 50
    """A line in the history and in TensorBoard every so many steps, with the mean losses."""

    picture_steps: int = 500
    """Pictures in TensorBoard every so many steps; 0 for none."""

    validate_steps: int = 0
    """Validation every so many steps and at the end; 0 for the end alone."""

    precision: Precision = "auto"
    """"auto" (bf16 where the device multiplies it in hardware), "bf16" or "fp32"."""

    device: str = "auto"
    """"auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N"."""

    seed: int = 0
    """Of all random numbers torch draws in training."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "checkpoint_steps", "log_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("picture_steps", "validate_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """What a finished training was; also in ``record.json``."""

    stage: str
    steps: int
    seconds: float
    """Over all resumes."""

    device: str
    """Where it ended, and in which precision."""

    processes: int
    batch: int
    """Items per step in the end."""

    skipped: tuple[int, ...]
    """Steps left out because something was not finite."""

    messages: tuple[str, ...]
    """What a user should know: restored states, smaller batches."""

    losses: dict[str, float]
    """Means at the end; the whole course is in ``history.jsonl``."""

    validation: dict[str, float]
    """Scores at the end."""

    torch: str
    config: dict[str, Any]


@dataclass(kw_only=True)
class Run:
    """What changes as a training goes on; all of it is in the checkpoint."""

    batch: int
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    """Of each loss since the last entry of the history."""

    count: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    """Means of the last entry."""

    validation: dict[str, float] = field(default_factory=dict)
    skipped: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, losses: dict[str, float]) -> None:
        """Count one step's losses."""
        if losses:
            self.count += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean of each loss since the last entry of the history."""
        return {name: value / self.count for name, value in self.sums.items()}

    def close_window(self) -> None:
        """Make the present means those of the last entry, and begin the next."""
        self.losses, self.sums, self.count = self.means(), {}, 0
