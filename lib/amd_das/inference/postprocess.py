"""From probabilities to a mask: threshold, and no components too small to be believed."""

import numpy as np
from scipy import ndimage

_TOUCHING = np.ones((3, 3, 3), bool)  # voxels that share a corner are one component, as in the measurement


def binarise(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(I, J, K) probabilities in [0, 1] → (I, J, K) bool, True where at least the threshold."""
    return probabilities >= threshold


def drop_small(mask: np.ndarray, voxel_ml: float, min_component_ml: float) -> np.ndarray:
    """(I, J, K) bool → the same without components whose voxels amount to less than `min_component_ml`."""
    kept = np.zeros_like(mask)
    box = ndimage.find_objects(mask.astype(np.int8))
    if not box:
        return kept
    labels, count = ndimage.label(mask[box[0]], structure=_TOUCHING)
    volume_ml = np.bincount(labels.ravel(), minlength=count + 1) * voxel_ml
    keep = volume_ml >= min_component_ml
    keep[0] = False
    kept[box[0]] = keep[labels]
    return kept
