"""Folders of small masks whose scores are known."""

from pathlib import Path

import nibabel
import numpy as np

from amd_das.evaluation.attributes import Attributes
from amd_das.evaluation.metrics import slice_scores, volume_scores
from amd_das.evaluation.scoring import CaseScores

SHAPE = (24, 24, 6)
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
"""Voxels of 0.02 mL."""


def block(width: int, *, start: int = 6, slices: slice = slice(2, 4)) -> np.ndarray:
    """(24, 24, 6) uint8 with a block of ``width`` x 6 x 2 voxels; empty for width 0."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[start : start + width, 8:14, slices] = 1
    return mask


def write_volume(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def write_set(folder: Path, widths: dict[str, int], *, start: int = 6, ending: str = "") -> Path:
    """A mask for each case."""
    for case, width in widths.items():
        write_volume(block(width, start=start), folder / f"{case}{ending}.nii.gz")
    return folder


def case_scores(case: str, pred: np.ndarray, ref: np.ndarray, *subtypes: str, scanner: str = "") -> CaseScores:
    """Scores of one case; ``subtypes`` "none" for a scan without any."""
    kinds = frozenset(subtypes) - {"none"} if subtypes else None
    return CaseScores(
        case=case,
        volume=volume_scores(pred, ref, AFFINE),
        slices=slice_scores(pred.transpose(2, 0, 1), ref.transpose(2, 0, 1)),
        attributes=Attributes(subtypes=kinds, scanner=scanner),
    )
