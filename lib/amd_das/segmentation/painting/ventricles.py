"""Where a slice shows ventricles, and the same slice with wider ones.

Blood in the ventricles keeps the fluid from leaving: they widen (hydrocephalus). A network that has seen narrow ones
alone takes blood in wide ones for a bleed in the tissue.
"""

from typing import Final

import numpy as np
from scipy.ndimage import (
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
    map_coordinates,
    morphological_gradient,
)

from amd_das.segmentation.painting.canvas import DEEP_PX, EDGE_PX, Canvas

_LEAST_PX: Final = 25
"""Darkness of fewer pixels is noise."""

_WIDENED_PX: Final = (1.5, 11.0)
"""So far a wall is pushed outwards, least and most: frontal horns of 45 mm from wall to wall are wide ones."""

_REACH_PX: Final = 38.0
"""Tissue farther from the ventricles stays where it is; what is nearer is pressed together."""

_RIM_PX: Final = (3.0, 15.0)
"""Nor does the brain's rim move: from the first depth to the second, tissue moves more and more."""


def ventricles(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, those of a slice; and its basal cisterns."""
    return binary_opening(canvas.dark() & (canvas.depth > DEEP_PX))


def of_size(mask: np.ndarray, least_px: int) -> np.ndarray:
    """(H, W) bool without pieces of fewer pixels."""
    pieces, count = label(mask)
    return (np.bincount(pieces.ravel(), minlength=count + 1) >= least_px)[pieces] & mask


def widen(canvas: Canvas) -> None:
    """Push the ventricles' walls outwards; lesions move with the tissue, fluid as bright as before fills the room."""
    rng = canvas.rng
    space = of_size(ventricles(canvas), _LEAST_PX) & ~canvas.lesion
    by = rng.uniform(*_WIDENED_PX)
    if not space.any():
        return
    fluid = float(np.median(canvas.hu[space]))
    outside, nearest = distance_transform_edt(~space, return_indices=True)
    distance = gaussian_filter(outside - distance_transform_edt(space), 1.0)
    moved = np.where(distance < by, distance, by * (_REACH_PX - distance) / (_REACH_PX - by))
    moved = np.clip(moved, 0, None) * np.clip((canvas.depth - _RIM_PX[0]) / (_RIM_PX[1] - _RIM_PX[0]), 0, 1)
    down, across = np.gradient(distance)
    steepness = np.maximum(np.hypot(down, across), 0.5)
    places = np.stack([canvas.rows - moved * down / steepness, canvas.columns - moved * across / steepness])
    room = canvas.brain & (distance > 0) & (distance - moved < 0.5) & ~_between(label(space)[0][tuple(nearest)])
    smooth = canvas.hu - canvas.grain
    pressed = map_coordinates(smooth, places, order=1, mode="nearest") + canvas.grain
    canvas.lesion = (map_coordinates(canvas.lesion.astype(np.float32), places, order=1) > 0.5) & ~room
    share = gaussian_filter(room.astype(np.float32), EDGE_PX) * ~space
    canvas.hu = np.where(canvas.brain & (moved > 0), pressed, canvas.hu)
    canvas.hu = canvas.hu + share * (fluid + canvas.grain - canvas.hu)


def _between(piece: np.ndarray) -> np.ndarray:
    """(H, W) numbers of the nearest piece → bool, where two meet: tissue stays there, as the septum does."""
    return morphological_gradient(piece, size=3) > 0
