"""How far a training is: what the engine tells its caller, who draws it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report."""

    stage: str
    """The learner's name."""

    step: int
    """Steps done."""

    total: int
    """Steps in all."""

    losses: Mapping[str, float] = field(default_factory=dict)
    """Mean of each loss since the last entry of the history."""

    seconds: float = 0.0
    """Spent in this stage, over all resumes."""

    step_seconds: float | None = None
    """Moving average of the time a step takes; None until known."""

    message: str = ""
    """What the user should know: a restored state, a smaller batch; usually empty."""

    @property
    def fraction(self) -> float:
        """Part done, 0 to 1."""
        return self.step / self.total

    @property
    def seconds_left(self) -> float | None:
        """Expected seconds to the end; None until known."""
        return None if self.step_seconds is None else self.step_seconds * (self.total - self.step)


ProgressCallback = Callable[[Progress], None]
"""Receives reports, about one a second, in the training's thread."""

StopCheck = Callable[[], bool]
"""Asked after every step; True ends the training after a checkpoint."""
