"""What hangs together in a mask: connected components of lesions, spots and strokes, told apart in one way.

Elements that share a corner are one component: 26 neighbours in a volume, 8 in a slice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

TOUCHING: Final = np.ones((3, 3, 3), bool)
"""The neighbourhood, of volumes."""

SPOT_FROM: Final = 0.1
"""In probabilities, a spot is what hangs together from this on, its soft edge with it (ours)."""


@dataclass(frozen=True, eq=False)
class Components:
    """Of one mask. What is said of each has ``1 + count`` values; the first is what lies around them, and is 0."""

    shape: tuple[int, ...]
    """Of the mask."""

    box: tuple[slice, ...]
    """The part of the mask that holds them all."""

    labels: np.ndarray
    """Int, of the box: 0 around them, else which component."""

    count: int
    """How many there are."""

    @classmethod
    def of(cls, mask: np.ndarray) -> "Components":
        """Those of a (…) bool mask of 2 or 3 dimensions."""
        box = (ndimage.find_objects(mask.astype(np.int8)) or [(slice(0, 1),) * mask.ndim])[0]
        labels, count = ndimage.label(mask[box], structure=np.ones((3,) * mask.ndim))
        return cls(shape=mask.shape, box=box, labels=labels, count=count)

    def sizes(self, where: np.ndarray | None = None) -> np.ndarray:
        """(1 + count,) int, elements of each; of those where ``where``, bool of the mask's shape, if given."""
        labels = self.labels if where is None else self.labels[where[self.box]]
        return self._of_each(np.bincount(labels.ravel(), minlength=self.count + 1))

    def widest(self, where: np.ndarray) -> np.ndarray:
        """(1 + count,) int, of a (Z, H, W) mask: the most elements of each in one slice where ``where``, bool, is."""
        counted = np.where(where[self.box], self.labels, 0)
        areas = [np.bincount(labels.ravel(), minlength=self.count + 1) for labels in counted]
        return self._of_each(np.max(areas, axis=0))

    def means(self, values: np.ndarray) -> np.ndarray:
        """(1 + count,) float64, mean of each in ``values``, which are of the mask's shape."""
        sums = np.bincount(self.labels.ravel(), values[self.box].ravel(), minlength=self.count + 1)
        return self._of_each(sums / np.maximum(self.sizes(), 1))

    def medians(self, values: np.ndarray) -> np.ndarray:
        """(1 + count,) float64, median of each in ``values``, which are of the mask's shape."""
        found = ndimage.median(values[self.box], self.labels, np.arange(1, self.count + 1)) if self.count else []
        return np.append(0.0, found)

    def mask(self, chosen: np.ndarray) -> np.ndarray:
        """Bool of the mask's shape: the components that are ``chosen``, (1 + count,) bool; never what is around."""
        out = np.zeros(self.shape, bool)
        out[self.box] = self._of_each(chosen)[self.labels]
        return out

    def places(self) -> Iterator[np.ndarray]:
        """Of each in turn, (n, dimensions) int: its elements' indices in the mask."""
        corner = [part.start for part in self.box]
        for label, around in enumerate(ndimage.find_objects(self.labels), start=1):
            within = [first + part.start for first, part in zip(corner, around, strict=True)]
            yield np.argwhere(self.labels[around] == label) + within

    @staticmethod
    def _of_each(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[0] = 0
        return out
