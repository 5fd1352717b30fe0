"""From probabilities to a mask: doubtful spots beside sure ones go, then a threshold, then what is too small."""

from typing import Final

import numpy as np
from scipy import ndimage

_TOUCHING = np.ones((3, 3, 3), bool)  # voxels that share a corner are one component, as in the measurement

SPOT_FROM: Final = 0.1
"""A spot is what hangs together from this probability on, its soft edge with it (as in self-training; ours)."""


def doubtful_spots(
    probabilities: np.ndarray, threshold: float, sure_from: float, voxel_ml: float, least_ml: float
) -> np.ndarray:
    """Spots of a scan of which the network is not sure, where it is sure of another.

    A network that hesitates over a whole spot is seldom right; yet where a scan has no better one, the doubtful spot
    may be its only bleed. So what was found never becomes nothing.

    Args:
        probabilities: (Z, H, W) float in [0, 1].
        threshold: spots that do not reach it are not asked.
        sure_from: mean probability within a spot from which it is sure; 0 finds none doubtful.
        voxel_ml: mL.
        least_ml: a spot with less than this at the threshold, mL, makes no other doubtful.

    Returns:
        (Z, H, W) bool, the doubtful spots' voxels. None where no spot is sure.
    """
    doubtful = np.zeros(probabilities.shape, bool)
    if sure_from <= 0:
        return doubtful
    spotted = probabilities >= min(SPOT_FROM, threshold)
    box = ndimage.find_objects(spotted.astype(np.int8))
    if not box:
        return doubtful
    spots, count = ndimage.label(spotted[box[0]], structure=_TOUCHING)
    inside = probabilities[box[0]]
    reaching = np.bincount(spots[inside >= threshold], minlength=count + 1)
    size = np.bincount(spots.ravel(), minlength=count + 1)
    sure = np.bincount(spots.ravel(), inside.ravel(), minlength=count + 1) >= sure_from * size
    reaching[0] = 0  # what lies around the spots
    if (sure & (reaching > 0) & (reaching * voxel_ml >= least_ml)).any():
        doubtful[box[0]] = (~sure & (reaching > 0))[spots]
    return doubtful


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
