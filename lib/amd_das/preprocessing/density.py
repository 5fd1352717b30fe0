"""What blood cannot be: as dense as bone or calcium.

Retracted clot reaches about 80 HU, at a high haematocrit 90 (New and Aronow, Radiology 1976); a spot of which more
than half is denser is bone that the brain extraction has left, or calcification.
"""

from typing import Final

import numpy as np

from amd_das.components import Components
from amd_das.preprocessing.window import to_hu

BLOOD_AT_MOST_HU: Final = 95.0
"""Above what noise adds to 90 HU, below where the window ends (ours)."""

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
