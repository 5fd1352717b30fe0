"""From probabilities to a mask: doubtful spots beside sure ones go, then a threshold, then what is too small."""

from typing import Final

import numpy as np

from amd_das.components import SPOT_FROM, Components

SETTLED_FROM: Final = 0.7
"""A spot with so much of its front behind fluid has settled there (ours): of bleeds in tissue the most is 0.26, of
settled blood the least 0.89; docs/self-training.md says of which scans."""


def doubtful_spots(
    probabilities: np.ndarray,
    behind_fluid: np.ndarray,
    threshold: float,
    sure_from: float,
    voxel_ml: float,
    least_ml: float,
) -> np.ndarray:
    """Spots of a scan that are hardly a bleed in the tissue, where it has another that is.

    A network that hesitates over a whole spot is seldom right, and blood behind fluid has settled in a ventricle,
    however sure the network is. Yet where a scan has no better spot, such a one may be its only bleed. So what was
    found never becomes nothing.

    Args:
        probabilities: (Z, H, W) float in [0, 1].
        behind_fluid: (Z, H, W) bool, what has fluid in front of it; row 0 is anterior.
        threshold: spots that do not reach it are not asked.
        sure_from: mean probability within a spot from which it is sure; 0 finds none doubtful.
        voxel_ml: mL.
        least_ml: a spot with less than this at the threshold, mL, makes no other doubtful.

    Returns:
        (Z, H, W) bool, the doubtful spots' voxels. None where no spot is sure.
    """
    nothing = np.zeros(probabilities.shape, bool)
    if sure_from <= 0:
        return nothing
    spots = Components.of(probabilities >= min(SPOT_FROM, threshold))
    found = probabilities >= threshold
    reaching = spots.sizes(found)
    front = found.copy()
    front[:, 1:] &= ~found[:, :-1]
    settled = spots.sizes(front & behind_fluid) >= SETTLED_FROM * np.maximum(spots.sizes(front), 1)
    sure = (spots.means(probabilities) >= sure_from) & ~settled
    if not (sure & (reaching > 0) & (reaching * voxel_ml >= least_ml)).any():
        return nothing
    return spots.mask(~sure & (reaching > 0))


def binarise(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(I, J, K) probabilities in [0, 1] → (I, J, K) bool, True where at least the threshold."""
    return probabilities >= threshold


def drop_small(mask: np.ndarray, voxel_ml: float, min_component_ml: float) -> np.ndarray:
    """(I, J, K) bool → the same without components whose voxels amount to less than `min_component_ml`."""
    components = Components.of(mask)
    return components.mask(components.sizes() * voxel_ml >= min_component_ml)
