"""One mask against its reference, as whole volumes: overlap, surfaces in mm, volumes in mL, lesions.

What is undefined is nan: two empty masks agree, but have no Dice; their volumes tell of them.

Lesions are 26-connected components. A lesion of the reference is *found* if at least one of its voxels is in the
prediction; a lesion of the prediction is *false* if none of its voxels is in the reference. F1 is the harmonic mean
of the part of reference lesions found and the part of predicted lesions not false.
"""

from dataclasses import dataclass
from math import nan
from typing import Any, Final

import numpy as np
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_confusion_matrix_metric,
    compute_hausdorff_distance,
    get_mask_edges,
)
from scipy import stats
from scipy.spatial import KDTree

from amd_das.components import Components
from amd_das.errors import GeometryError

PERCENTILE: Final = 95
_RIGHT_ANGLE: Final = 1e-3  # cosine between array axes below which they are taken as orthogonal


@dataclass(frozen=True, kw_only=True)
class VolumeScores:
    """Of one volume; nan where undefined."""

    dice: float
    """nan where both are empty, 0 where one is."""

    sensitivity: float
    """Of voxels; nan where the reference is empty."""

    specificity: float
    """Of voxels of the whole image, air included."""

    precision: float
    """Of voxels; nan where nothing is predicted."""

    hd95_mm: float
    """95th percentile of surface distances, the larger of both directions; nan where either is empty."""

    assd_mm: float
    """Mean of surface distances of both directions; nan where either is empty."""

    volume_ml_pred: float
    volume_ml_ref: float
    volume_error_ml: float
    """Prediction less reference."""

    lesions_ref: int
    lesions_found: int
    """Of the reference."""

    lesions_pred: int
    lesions_false: int
    """Of the prediction."""

    lesion_f1: float
    """nan where there is no lesion in either."""


def volume_scores(pred: np.ndarray, ref: np.ndarray, affine: np.ndarray) -> VolumeScores:
    """Compare two masks on one grid.

    Args:
        pred: (I, J, K), lesion where not 0.
        ref: the same.
        affine: (4, 4) voxel index to mm; may be sheared (a tilted gantry).

    Raises:
        GeometryError: their shapes differ.
    """
    if pred.shape != ref.shape or pred.ndim != 3:
        raise GeometryError(f"masks of shape {pred.shape} and {ref.shape}; expected two volumes on the same grid")
    voxels = pred.size
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    pred, ref = _cropped(pred != 0, ref != 0)
    said, true, both = (int(np.count_nonzero(mask)) for mask in (pred, ref, pred & ref))
    counts = torch.tensor([both, said - both, voxels - said - true + both, true - both], dtype=torch.float64)
    dice, sensitivity, specificity, precision = (
        float(compute_confusion_matrix_metric(name, counts))
        for name in ("f1 score", "sensitivity", "specificity", "precision")
    )
    hd95, assd = surface_distances(pred, ref, affine) if said and true else (nan, nan)
    return VolumeScores(
        dice=dice,
        sensitivity=sensitivity,
        specificity=specificity,
        precision=precision,
        hd95_mm=hd95,
        assd_mm=assd,
        volume_ml_pred=said * voxel_ml,
        volume_ml_ref=true * voxel_ml,
        volume_error_ml=(said - true) * voxel_ml,
        **_lesions(pred, ref),
    )


def surface_distances(pred: np.ndarray, ref: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    """HD95 and ASSD in mm of two (I, J, K) bool masks, neither empty.

    By MONAI where array axes meet at right angles. On sheared grids, which MONAI cannot measure, the same with
    distances between the true positions of the same surface voxels.
    """
    steps = np.asarray(affine[:3, :3], np.float64)
    spacing = np.linalg.norm(steps, axis=0)
    if np.abs((steps / spacing).T @ (steps / spacing) - np.eye(3)).max() < _RIGHT_ANGLE:
        y_pred, y = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (pred, ref))
        options: dict[str, Any] = {"y_pred": y_pred, "y": y, "include_background": True, "spacing": spacing.tolist()}
        hd95 = compute_hausdorff_distance(**options, percentile=PERCENTILE)
        assd = compute_average_surface_distance(**options, symmetric=True)
        return float(hd95), float(assd)
    surfaces: list[Any] = [np.argwhere(edges) @ steps.T for edges in get_mask_edges(pred, ref)]
    there, back = (KDTree(two).query(one)[0] for one, two in (surfaces, surfaces[::-1]))
    hd95_mm = max(np.percentile(distances, PERCENTILE) for distances in (there, back))
    return float(hd95_mm), float(np.concatenate([there, back]).mean())


def _cropped(pred: np.ndarray, ref: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within the box that holds both, whose border no lesion crosses; as they are where both are empty."""
    extent = [np.flatnonzero((pred | ref).any(axis=tuple(np.delete(range(3), axis)))) for axis in range(3)]
    if not len(extent[0]):
        return pred, ref
    box = tuple(slice(places[0], places[-1] + 1) for places in extent)
    return pred[box], ref[box]


def _lesions(pred: np.ndarray, ref: np.ndarray) -> dict[str, Any]:
    said, true = Components.of(pred), Components.of(ref)
    both = pred & ref
    found, right = (int(np.count_nonzero(lesions.sizes(both))) for lesions in (true, said))
    return {
        "lesions_ref": true.count,
        "lesions_found": found,
        "lesions_pred": said.count,
        "lesions_false": said.count - right,
        "lesion_f1": lesion_f1(ref=true.count, found=found, pred=said.count, false=said.count - right),
    }


def lesion_f1(*, ref: int, found: int, pred: int, false: int) -> float:
    """From counts of lesions, of one scan or of many; nan where there is none."""
    if not ref + pred:
        return nan
    return float(stats.hmean([found / ref if ref else 0.0, (pred - false) / pred if pred else 0.0]))


@dataclass(frozen=True, kw_only=True)
class SliceScores:
    """Of the axial slices of one volume, each (Z,) from inferior to superior; nan where undefined."""

    pixels_ref: np.ndarray
    pixels_pred: np.ndarray
    """int64, lesion pixels."""

    paper_dice: np.ndarray
    """See :func:`paper_slice_dice`."""

    dice: np.ndarray
    sensitivity: np.ndarray
    specificity: np.ndarray
    precision: np.ndarray
    """Of the pixels of a slice, float64."""


def slice_scores(pred: np.ndarray, ref: np.ndarray) -> SliceScores:
    """Compare two masks slice by slice.

    Args:
        pred: (Z, H, W), lesion where not 0.
        ref: the same.
    """
    said, true = pred != 0, ref != 0
    n_said, n_true, both = (np.count_nonzero(mask, axis=(1, 2)) for mask in (said, true, said & true))
    clear = said[0].size - n_said - n_true + both
    counts = torch.from_numpy(np.stack([both, n_said - both, clear, n_true - both], axis=1).astype(np.float64))
    ratios = {
        name: compute_confusion_matrix_metric(named, counts).numpy()
        for name, named in (("dice", "f1 score"), *((one, one) for one in ("sensitivity", "specificity", "precision")))
    }
    return SliceScores(
        pixels_ref=n_true, pixels_pred=n_said, paper_dice=paper_slice_dice(n_said, n_true, both), **ratios
    )


def paper_slice_dice(pixels_pred: np.ndarray, pixels_ref: np.ndarray, pixels_both: np.ndarray) -> np.ndarray:
    """Dice of slices as the paper's authors count it: smoothing 1 above and below, so 1 where both are empty.

    Not comparable with :attr:`VolumeScores.dice`: most slices show no lesion, and each of those left empty scores 1.

    Args:
        pixels_pred: (Z,) lesion pixels of the prediction.
        pixels_ref: (Z,) of the reference.
        pixels_both: (Z,) in both.
    """
    return (2.0 * pixels_both + 1.0) / (pixels_pred + pixels_ref + 1.0)
