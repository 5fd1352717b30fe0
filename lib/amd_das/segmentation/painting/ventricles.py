"""Where the ventricles of a slice lie, and where those of most heads do: blood there is rarely in the tissue."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import binary_opening, gaussian_filter, label

from amd_das.segmentation.painting.canvas import Canvas, blank, brain_of
from amd_das.slices import SliceStore

_DEEP_PX: Final = 18.0
"""So far from the outside, CSF is in a ventricle or a basal cistern."""

_CELLS: Final = 100
"""Of the map, along each side of the brain's bounding box."""

_SLICES: Final = 1500
"""So many are looked at."""

_BRAIN_PX: Final = 9000
"""Slices of less brain lie above or below the ventricles."""

_VENTRICLE_PX: Final = 60

_USUAL: Final = 0.07
"""Where so many of the slices that show a ventricle have it, one is usual."""

_LESION_PX: Final = 20
"""Less is not asked where it lies."""


def ventricles(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, those of a slice; and its basal cisterns."""
    return binary_opening(canvas.dark() & (canvas.depth > _DEEP_PX))


@dataclass(frozen=True)
class VentricleMap:
    """How often a place is in a ventricle, learnt from slices without any label (ours).

    A ventricle full of blood is no longer dark, so a slice alone does not tell it from a bleed in the tissue; where it
    lies does. Places are those in the brain's bounding box, right and left alike.
    """

    often: np.ndarray
    """(100, 100) float in [0, 1], front to back and right to left: part of the slices that show a ventricle."""

    @classmethod
    def of(cls, store: SliceStore, seed: int = 0) -> "VentricleMap":
        """From a random part of the slices of a store; of none that shows a ventricle, a map of zeros."""
        rng = np.random.default_rng(seed)
        seen, often = 0, np.zeros((_CELLS, _CELLS))
        for row in np.sort(rng.permutation(len(store))[:_SLICES]):
            canvas = blank(store.images[row], rng)
            if canvas is None or canvas.brain.sum() < _BRAIN_PX:
                continue
            inside = np.argwhere(ventricles(canvas))
            if len(inside) < _VENTRICLE_PX:
                continue
            down, across = _cells(canvas.brain)
            cells = np.zeros_like(often)
            cells[down[inside[:, 0]], across[inside[:, 1]]] = 1
            often, seen = often + cells, seen + 1
        smooth = gaussian_filter(often / max(seen, 1), 1.5)
        return cls(np.maximum(smooth, smooth[:, ::-1]))

    def usual(self, brain: np.ndarray) -> np.ndarray:
        """Where ventricles usually lie in a brain, (H, W) bool → (H, W) bool."""
        down, across = _cells(brain)
        return brain & (self.often[np.ix_(down, across)] >= _USUAL)

    def explains(self, image: np.ndarray, lesion: np.ndarray) -> bool:
        """Whether at least half of one of the lesions lies there.

        Args:
            image: (H, W) uint8 of a slice store.
            lesion: (H, W) bool.
        """
        brain = brain_of(image)
        if brain is None:
            return False
        there = self.usual(brain)
        spots, count = label(lesion)
        sizes, inside = (np.bincount(spots[where], minlength=count + 1)[1:] for where in (lesion, lesion & there))
        return bool(((sizes >= _LESION_PX) & (2 * inside >= sizes)).any())


def _cells(brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H,) and (W,) int: in which row and column of the map each row and column of a slice lies."""
    places = []
    for axis in (1, 0):
        inside = np.flatnonzero(brain.any(axis))
        middle, half = (inside[0] + inside[-1]) / 2, max((inside[-1] - inside[0]) / 2, 1)
        shift = (np.arange(brain.shape[1 - axis]) - middle) / half
        places.append(np.clip(((shift + 1) / 2 * _CELLS).astype(int), 0, _CELLS - 1))
    return places[0], places[1]
