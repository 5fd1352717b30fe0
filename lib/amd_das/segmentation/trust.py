"""Which of its predictions on a scan a network may learn from, and as what: by slices, or by whole spots.

A slice alone cannot tell: over blood in a ventricle a network may be sure in one slice and hesitate in the next ones.
Over a whole spot, in three dimensions, it is seldom sure and wrong; over a small one it is too often.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from amd_das.components import SPOT_FROM, Components
from amd_das.errors import ConfigError

_NEIGHBOURS: Final = 3
"""Slices that a spot's mean takes to say anything: with fewer, what is doubtful stays so."""


@dataclass(frozen=True, kw_only=True)
class SliceTrust:
    """When a slice is believed: there is nothing, or the most of it is beyond doubt. All numbers are ours."""

    by: Literal["slice"] = field(default="slice", init=False)
    """What is believed or not, for the record."""

    begins: float = SPOT_FROM
    """Something is seen from this probability on."""

    sure_from: float = 0.75
    """At least half of what is seen must have this probability."""

    least_px: int = 8
    """Fewer pixels seen are nothing."""

    def __post_init__(self) -> None:
        if not 0.0 < self.begins < 0.5 < self.sure_from < 1.0:
            raise ConfigError(
                f"begins {self.begins}, sure_from {self.sure_from}: expected a probability below 0.5 and one above"
            )
        if self.least_px < 1:
            raise ConfigError(f"least_px {self.least_px}: expected at least 1")

    def believed(self, probability: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`SpotTrust.believed`; the slices' places do not matter."""
        seen, sure = ((probability >= edge).sum((1, 2)) for edge in (self.begins, self.sure_from))
        return probability >= 0.5, (seen < self.least_px) | (sure >= 0.5 * seen)


@dataclass(frozen=True, kw_only=True)
class SpotTrust:
    """When a spot is believed. All numbers are ours; docs/self-training.md says what they were measured on."""

    by: Literal["spot"] = field(default="spot", init=False)
    """What is believed or not, for the record."""

    begins: float = SPOT_FROM
    """A spot is what hangs together from this probability on, its soft edge with it."""

    nothing_below: float = 0.6
    """A spot with a lower mean probability is no lesion."""

    lesion_from: float = 0.85
    """A spot with at least this mean probability is one; slices with a spot between both are not learnt from."""

    least_px: int = 8
    """A spot of fewer pixels is nothing."""

    lesion_px: int = 400
    """A lesion has as many pixels in one of its slices at least; slices with a smaller one are not learnt from. Of
    small ones that a network was sure of every fourth was none; bleeds that are small are painted."""

    abrupt_px: int = 100
    """A lesion with as many pixels in a slice goes on in the next: where the next has less than a tenth of them, it is
    not learnt from."""

    def __post_init__(self) -> None:
        if not 0.0 < self.begins < self.nothing_below <= self.lesion_from < 1.0:
            raise ConfigError(
                f"begins {self.begins}, nothing_below {self.nothing_below}, lesion_from {self.lesion_from}: expected "
                "probabilities in this order, above 0 and below 1"
            )
        for name in ("least_px", "lesion_px", "abrupt_px"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")

    def believed(self, probability: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a scan's predictions say, and in which of its slices they may be learnt from.

        Args:
            probability: (n, H, W) float in [0, 1], slices of one scan from one end to the other.
            numbers: (n,) int, ascending, the slices' places in the scan; a spot does not reach across a gap.

        Returns:
            (n, H, W) bool, lesion; (n,) bool, the slices to learn from.
        """
        lesion, kept = np.zeros(probability.shape, bool), np.zeros(len(probability), bool)
        apart = np.diff(numbers)
        for run in np.split(np.arange(len(numbers)), 1 + np.flatnonzero(apart > apart.min(initial=1 << 30))):
            lesion[run], kept[run] = self._of_neighbours(probability[run])
        return lesion, kept

    def _of_neighbours(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        spots = Components.of(probability >= self.begins)
        mean = spots.means(probability)
        asked = spots.sizes() >= self.least_px
        large = spots.widest(probability >= 0.5) >= self.lesion_px
        believed = asked & large & (mean >= self.lesion_from)
        nothing = mean < self.nothing_below if len(probability) >= _NEIGHBOURS else np.zeros_like(asked)
        lesion = spots.mask(believed) & (probability >= 0.5)
        kept = ~spots.mask(asked & ~believed & ~nothing).any((1, 2))
        area = lesion.sum((1, 2))
        beside = np.maximum(np.append(0, area[:-1]), np.append(area[1:], 0))
        return lesion, kept & ~((beside >= self.abrupt_px) & (area < 0.1 * beside))


Trust = SliceTrust | SpotTrust
