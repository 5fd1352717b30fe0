"""A mask with known components."""

import numpy as np


def three_components() -> np.ndarray:
    """(12, 12, 4) bool with components of 8, 3 (joined at corners only) and 1 voxels."""
    mask = np.zeros((12, 12, 4), bool)
    mask[1:3, 1:3, 0:2] = True
    mask[[6, 7, 8], [6, 7, 8], [1, 2, 3]] = True
    mask[10, 1, 0] = True
    return mask
