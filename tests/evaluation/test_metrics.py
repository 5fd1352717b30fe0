"""Scores of one volume on masks whose scores are known."""

import math
from dataclasses import asdict

import numpy as np
import pytest

from amd_das.errors import GeometryError
from amd_das.evaluation.metrics import volume_scores

AFFINE = np.diag([1.0, 2.0, 5.0, 1.0])
"""Voxels of 0.01 mL."""


def box(*corner: int, size: tuple[int, int, int] = (4, 4, 2)) -> np.ndarray:
    mask = np.zeros((20, 20, 10), np.uint8)
    mask[tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))] = 1
    return mask


def test_equal_masks_are_perfect() -> None:
    scores = volume_scores(box(3, 3, 3), box(3, 3, 3), AFFINE)
    assert (scores.dice, scores.sensitivity, scores.specificity, scores.precision, scores.lesion_f1) == (1, 1, 1, 1, 1)
    assert (scores.hd95_mm, scores.assd_mm, scores.volume_error_ml) == (0, 0, 0)
    assert scores.volume_ml_ref == pytest.approx(0.32)


def test_a_shift_is_told_in_mm() -> None:
    scores = volume_scores(box(3, 5, 3), box(3, 3, 3), AFFINE)
    assert scores.dice == scores.sensitivity == scores.precision == 0.5
    assert scores.hd95_mm == pytest.approx(4.0, abs=0.01)
    assert 0 < scores.assd_mm < 4
    flipped = volume_scores(box(3, 5, 3)[::-1], box(3, 3, 3)[::-1], np.diag([-1.0, 2.0, 5.0, 1.0]))
    assert asdict(flipped) == pytest.approx(asdict(scores))


def test_empty_masks_earn_nothing() -> None:
    empty = np.zeros((20, 20, 10), np.uint8)
    both = volume_scores(empty, empty, AFFINE)
    assert math.isnan(both.dice) and math.isnan(both.lesion_f1) and both.specificity == 1
    false = volume_scores(box(3, 3, 3), empty, AFFINE)
    assert false.dice == 0 and math.isnan(false.sensitivity) and math.isnan(false.hd95_mm)
    assert false.volume_error_ml == pytest.approx(0.32)
    missed = volume_scores(empty, box(3, 3, 3), AFFINE)
    assert (missed.dice, missed.sensitivity, missed.lesion_f1) == (0, 0, 0) and math.isnan(missed.precision)
    assert missed.volume_error_ml == pytest.approx(-0.32)


def test_lesions_are_found_or_not() -> None:
    reference = box(1, 1, 1) | box(10, 10, 6)
    assert volume_scores(box(3, 3, 2), reference, AFFINE).lesion_f1 == pytest.approx(2 / 3)
    assert volume_scores(reference | box(1, 12, 1), reference, AFFINE).lesion_f1 == pytest.approx(0.8)


def test_masks_on_other_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="same grid"):
        volume_scores(box(1, 1, 1), box(1, 1, 1)[:-1], AFFINE)
