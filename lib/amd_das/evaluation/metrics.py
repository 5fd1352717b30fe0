"""One mask against its label, as whole volumes: overlap, surfaces in mm, volumes in mL, lesions.

What is undefined is not a number: two empty masks have no Dice, and are told apart by their volumes.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy import ndimage

from amd_das.errors import GeometryError

_TOUCHING = np.ones((3, 3, 3), bool)  # voxels that share a corner are one lesion, as in the measurement


@dataclass(frozen=True, kw_only=True)
class VolumeScores:
    """Of one volume; nan where undefined."""

    dice: float
    """nan where both are empty, 0 where one is."""

    sensitivity: float
    """nan where the label is empty."""

    specificity: float
    precision: float
    """nan where nothing is predicted."""

    hd95_mm: float
    """95th percentile of surface distances, the larger of both directions; nan where either is empty."""

    assd_mm: float
    """Mean of surface distances of both directions; nan where either is empty."""

    volume_ml_pred: float
    volume_ml_ref: float
    volume_error_ml: float
    """Prediction less label."""

    lesion_f1: float
    """Of connected components; one is found if any voxel is. nan where there is none in either."""


def volume_scores(pred: np.ndarray, ref: np.ndarray, affine: np.ndarray) -> VolumeScores:
    """Compare two masks (I, J, K) on one grid, lesion where not 0; ``affine`` (4, 4) is their voxel-to-mm matrix.

    Raises:
        GeometryError: their shapes differ.
    """
    if pred.shape != ref.shape or pred.ndim != 3:
        raise GeometryError(f"masks of shape {pred.shape} and {ref.shape}; expected two volumes on the same grid")
    pred, ref = pred != 0, ref != 0
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    said, true, both = (int(np.count_nonzero(mask)) for mask in (pred, ref, pred & ref))
    clear = ref.size - true
    hd95, assd = _surfaces(pred, ref, affine) if said and true else (nan, nan)
    return VolumeScores(
        dice=2 * both / (said + true) if said + true else nan,
        sensitivity=both / true if true else nan,
        specificity=(clear - (said - both)) / clear if clear else nan,
        precision=both / said if said else nan,
        hd95_mm=hd95,
        assd_mm=assd,
        volume_ml_pred=said * voxel_ml,
        volume_ml_ref=true * voxel_ml,
        volume_error_ml=(said - true) * voxel_ml,
        lesion_f1=_lesion_f1(pred, ref),
    )


def _surfaces(pred: np.ndarray, ref: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    (box,) = ndimage.find_objects((pred | ref).astype(np.int8))
    around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
    masks = [torch.from_numpy(np.ascontiguousarray(mask[around]))[None, None].float() for mask in (pred, ref)]
    spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    hd95 = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=spacing)
    assd = compute_average_surface_distance(*masks, include_background=True, symmetric=True, spacing=spacing)
    return float(hd95), float(assd)


def _lesion_f1(pred: np.ndarray, ref: np.ndarray) -> float:
    (said, n_said), (true, n_true) = (ndimage.label(mask, structure=_TOUCHING) for mask in (pred, ref))
    if not n_said + n_true:
        return nan
    both = pred & ref
    found, right = len(np.unique(true[both])), len(np.unique(said[both]))
    precision, recall = right / n_said if n_said else 0.0, found / n_true if n_true else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
