"""One slice that is being painted, and what every brush needs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter

from amd_das.preprocessing.density import fluid

GREY_PER_HU: Final = 2.55
"""Grey values of a slice store per HU."""

DEEP_PX: Final = 18.0
"""So far from the outside, CSF is in a ventricle or a basal cistern."""

_BRIGHT_BY_HU: Final = 12.0
"""Grey matter is at most so much brighter than the whole brain."""

EDGE_PX: Final = 0.7
"""Blur of what is painted, as slices average over the border."""

BLOOD_EDGE_PX: Final = (0.45, 1.8)
"""The same for blood, least and most, of lesions and others alike, or the edge alone would tell where it lies."""

_THIN: Final = 0.4
"""Of blood: tissue or fluid shows through, since the slice holds only its upper or lower end, or it is not fresh."""

_THIN_SHARE: Final = (0.55, 1.0)
"""What part of it is blood then."""

_GRAIN_SPREADS: Final = 2.5
"""What differs from its surroundings by more of the noise's spread is anatomy."""

_MARGIN_PX: Final = 6
"""Beyond the brain, so that nothing painted at its edge ends at the frame's."""

Frame = tuple[slice, slice, slice]
"""Of a batch: all slices, some rows and columns."""

_LEAST_BRAIN_PX: Final = 500
"""A tip of the brain has room for nothing."""


def hills(noise: np.ndarray, size_px: float) -> np.ndarray:
    """White noise as a smooth field with a spread of 1, its hills about so wide."""
    field = gaussian_filter(noise, size_px)
    return field / field.std()


def texture(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Of clotted blood, HU; of all blood alike, or its texture alone would tell where it lies."""
    return hills(rng.standard_normal(shape), rng.uniform(1.0, 4.0)) * rng.uniform(0.5, 6.0)


def thickness(rng: np.random.Generator) -> float:
    """What part of a pixel inside blood is blood, 0 to 1."""
    return rng.uniform(*_THIN_SHARE) if rng.random() < _THIN else 1.0


def frame_of(images: np.ndarray) -> Frame:
    """The part of a batch (N, H, W) that holds all its brain, and some around: painting takes time by the area."""
    shown = images.any(0)
    if not shown.any():
        return slice(None), slice(None), slice(None)
    rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
    return slice(None), _about(rows), _about(columns)


def _about(places: np.ndarray) -> slice:
    return slice(max(int(places[0]) - _MARGIN_PX, 0), int(places[-1]) + _MARGIN_PX + 1)


def put_back(batch: np.ndarray, frame: Frame, painted: Sequence[np.ndarray]) -> np.ndarray:
    """A new batch like ``batch`` with the slices painted in its frame."""
    changed = batch.copy()
    changed[frame] = np.stack(painted)
    return changed


def brain_of(image: np.ndarray) -> np.ndarray | None:
    """The inside of a slice, (H, W) uint8 → bool; None where there is too little of it to paint on."""
    brain = binary_fill_holes(image > 0)
    return brain if brain.sum() >= _LEAST_BRAIN_PX else None


def to_grey(hu: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(H, W) HU → uint8 of a slice store: at least 1 inside the brain, 0 outside."""
    changed = np.clip(np.rint(hu * GREY_PER_HU), 1, 255).astype(np.uint8)
    return np.where(brain, changed, 0).astype(np.uint8)


class Canvas:
    """One slice that is being painted."""

    def __init__(
        self,
        hu: np.ndarray,
        lesion: np.ndarray,
        brain: np.ndarray,
        rng: np.random.Generator,
        *,
        lender: np.ndarray | None = None,
    ) -> None:
        """Of (H, W): ``hu`` float, ``lesion`` and ``brain`` bool; ``lender``: another slice's image, for shapes."""
        self.lender = lender
        self.hu, self.lesion, self.brain, self.rng = hu, lesion, brain, rng
        self.depth = distance_transform_edt(brain)
        """Pixels from the outside."""

        grain = hu - gaussian_filter(hu, 1.5)
        limit = _GRAIN_SPREADS * 1.48 * float(np.median(np.abs(grain[brain])))
        self.grain = np.clip(grain, -limit, limit)
        """The scan's own noise, HU: it goes on in what is painted."""

        self.rows, self.columns = np.indices(hu.shape, dtype=np.float32)
        inside = np.argwhere(brain)
        self.middle, self.half = inside.mean(0), (inside.max(0) - inside.min(0)) / 2

    def cover(self, region: np.ndarray, hu: float, *, under_lesion: bool = False) -> None:
        """Make a region as bright as this, with a soft edge, texture and the scan's noise; it is no lesion then."""
        if under_lesion:
            region = region & ~self.lesion
        else:
            self.lesion = self.lesion & ~region
        self._mix(gaussian_filter(region.astype(np.float32), EDGE_PX), hu)

    def flood(self, region: np.ndarray, hu: float) -> None:
        """Fill a region with blood that is no lesion: as soft and as thin as bleeds may be."""
        self.lesion = self.lesion & ~region
        edge = self.rng.uniform(*BLOOD_EDGE_PX)
        self._mix(thickness(self.rng) * gaussian_filter(region.astype(np.float32), edge), hu)

    def _mix(self, share: np.ndarray, hu: float) -> None:
        self.hu = self.hu + (hu + texture(self.hu.shape, self.rng) + self.grain - self.hu) * share

    def dark(self) -> np.ndarray:
        """(H, W) bool, as dark as CSF."""
        return fluid(self.hu, self.brain)

    def smooth(self) -> np.ndarray:
        """(H, W) HU without noise; nothing outside the brain counts."""
        inside = gaussian_filter(self.brain.astype(float), 1.5)
        return gaussian_filter(self.hu * self.brain, 1.5) / np.maximum(inside, 1e-3)

    def ordinary(self, smooth: np.ndarray) -> np.ndarray:
        """(H, W) bool, neither bone nor other blood, by what `smooth` gave."""
        return smooth < np.median(self.hu[self.brain]) + _BRIGHT_BY_HU

    def somewhere(self, where: np.ndarray) -> tuple[int, int] | None:
        """A random pixel of a region."""
        places = np.argwhere(where)
        return tuple(places[self.rng.integers(len(places))]) if len(places) else None

    def bar(self, centre: tuple[float, float], length: float, width: float, angle: float) -> np.ndarray:
        """An ellipse of these axes in pixels; angle in radians from front to back."""
        return self.brain & (self.reach(centre, length, width, angle) < 1)

    def reach(self, centre: tuple[float, float], length: float, width: float, angle: float) -> np.ndarray:
        """(H, W) squared distance from the centre in units of such an ellipse: 1 on its edge."""
        down, across = self.rows - centre[0], self.columns - centre[1]
        along = down * np.cos(angle) + across * np.sin(angle)
        beside = -down * np.sin(angle) + across * np.cos(angle)
        return (2 * along / length) ** 2 + (2 * beside / width) ** 2


def blank(image: np.ndarray, rng: np.random.Generator) -> Canvas | None:
    """(H, W) uint8 of a slice store → a canvas without lesion; None where there is too little brain."""
    brain = brain_of(image)
    return None if brain is None else Canvas(image / GREY_PER_HU, np.zeros_like(brain), brain, rng)
