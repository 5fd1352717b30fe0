"""What a scan's density tells by itself: what is too dense for blood, what is cerebrospinal fluid, what lies behind it.

Retracted clot reaches about 80 HU, at a high haematocrit 90 (New and Aronow, Radiology 1976); a spot of which more
than half is denser is bone that the brain extraction has left, or calcification. Patients lie face up: blood in a
ventricle sinks to its back, and fluid stays in front of it.
"""

from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

from amd_das.components import Components
from amd_das.preprocessing.window import to_hu

BLOOD_AT_MOST_HU: Final = 95.0
"""Above what noise adds to 90 HU, below where the window ends (ours)."""

CSF_BELOW_HU: Final = 15.0
"""Cerebrospinal fluid (CSF) is darker, once noise is smoothed; tissue is not, whether swollen or not (ours)."""

_NOISE_PX: Final = 0.8
"""Spread of that smoothing, pixels of 1 mm."""

_IN_FRONT_PX: Final = 14
"""So far in front of a pixel there is fluid or not: the pixels of a slice are 1 mm (ours)."""

_LEAST_FLUID_PX: Final = 5
"""Of these: with fewer it is a sulcus or a narrow ventricle (ours)."""

_SPOT_FROM: Final = 0.25
"""A spot is where the probability is at least this, so that its soft edge goes with it (ours)."""


def without_bone(probability: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Take spots away that are too dense to be blood, slice by slice.

    Args:
        probability: (N, H, W) float in [0, 1].
        unit: (N, H, W) float in [0, 1], the slices as the network sees them, 0-100 HU.

    Returns:
        (N, H, W), the type of ``probability``: 0 in those spots.
    """
    kept = np.array(probability)
    for one, image in zip(kept, to_hu(unit), strict=True):
        spots = Components.of(one >= _SPOT_FROM)
        one[spots.mask(spots.medians(image) > BLOOD_AT_MOST_HU)] = 0
    return kept


def fluid(hu: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(…, H, W) HU and bool → bool: brain pixels that are as dark as CSF."""
    smooth = gaussian_filter(hu, (0.0,) * (hu.ndim - 2) + (_NOISE_PX, _NOISE_PX))
    return brain & (smooth < CSF_BELOW_HU)


def behind_fluid(unit: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Which pixels have a pool of fluid straight in front of them.

    Args:
        unit: (N, H, W) float in [0, 1], the slices as the network sees them; row 0 is anterior.
        brain: (N, H, W) bool.

    Returns:
        (N, H, W) bool.
    """
    rows = unit.shape[1]
    until = np.cumsum(fluid(to_hu(unit), brain), axis=1, dtype=np.int16)  # a row's own pixel included
    until = np.pad(until, ((0, 0), (_IN_FRONT_PX + 1, 0), (0, 0)))
    in_front = until[:, _IN_FRONT_PX : _IN_FRONT_PX + rows] - until[:, :rows]
    return in_front >= _LEAST_FLUID_PX
