"""Settings of the correction by clicks and strokes."""

from dataclasses import dataclass, fields
from typing import Final

from amd_das.errors import ConfigError

BRAIN_WINDOW_HU: Final = (-20.0, 120.0)
"""HU beyond which all is the same to a correction: the brain window with room for noise, and for clotted blood, which
reaches 100 HU (ours; bone is above)."""


@dataclass(frozen=True, kw_only=True)
class InteractionConfig:
    """How far a mark reaches, and what counts as alike. All numbers are ours, chosen on phantom heads that the
    benchmark does not use."""

    radius_mm: float = 40.0
    """No voxel farther from every mark than this changes, mm; half the length of the longest bleeds."""

    reach_mm: float = 6.0
    """How far a mark spreads through tissue like its own in a structure without thickness, mm."""

    reach_per_depth: float = 10.0
    """… and how many mm farther for each mm that the mark lies deep in that structure: a mark in the middle of a bleed
    means the bleed, one at a rim means the rim."""

    least_reach_mm: float = 2.0
    """How far a mark spreads where HU tell nothing, mm."""

    through_known: float = 3.0
    """How many times slower a foreground mark spreads through what is outlined already."""

    level: float = 0.55
    """Where between the surroundings (0) and the mark (1) the edge of a bleed lies, in HU."""

    probability_weight: float = 1.5
    """What a probability of 1 instead of 0 adds to the likeness to the mark, in units of half the mark's contrast."""

    barrier: float = 30.0
    """How many times slower a mark spreads in tissue as dark as the surroundings."""

    least_contrast_hu: float = 6.0
    """A mark closer to its surroundings than this is not grown by HU but only rounded, HU."""

    unlike_mm: float = 8.0
    """How many mm farther a mark seems from tissue that differs by ``alike_hu``, where both sides claim a voxel."""

    alike_hu: float = 6.0
    """HU by which tissue counts as different."""

    alike_probability: float = 0.25
    """The same for probabilities."""

    core_depth: float = 2.0
    """What lies this many times as deep as a background mark is the true lesion, which the mark must not take away."""

    core_margin_mm: float = 3.0
    """… and at least this much deeper, mm."""

    smoothing_mm: float = 0.7
    """Standard deviation of the in-plane smoothing of HU, mm."""

    crumb_ml: float = 0.05
    """Pieces smaller than this that a correction leaves behind go too, mL."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not 0.0 <= value < float("inf"):
                raise ConfigError(f"{one.name} {value}: expected a number, 0 or more")
        if not 0.0 < self.radius_mm <= 200.0:
            raise ConfigError(f"radius_mm {self.radius_mm}: expected mm, above 0 and at most 200")
        if not 0.0 < self.level < 1.0:
            raise ConfigError(f"level {self.level}: expected a share above 0 and below 1")
        if self.alike_hu <= 0 or self.alike_probability <= 0 or self.least_contrast_hu <= 0:
            raise ConfigError(
                f"alike_hu {self.alike_hu}, alike_probability {self.alike_probability}, least_contrast_hu "
                f"{self.least_contrast_hu}: expected numbers above 0"
            )
