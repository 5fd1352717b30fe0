"""Scores of one volume on masks whose scores are known, and against SimpleITK and plain Python."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

from amd_das.errors import GeometryError
from amd_das.evaluation.metrics import VolumeScores, slice_scores, volume_scores

AFFINE = np.diag([1.0, 2.0, 5.0, 1.0])
"""Voxels of 0.01 mL."""

TILTED = np.array([[-0.5, 0, 0, 9], [0, 0.48, -1.7, 3], [0, 0.13, 4.7, -2], [0, 0, 0, 1.0]])
"""A gantry tilted by 15°, whose slices are moved straight along the table."""


def box(*corner: int, size: tuple[int, int, int] = (4, 4, 2)) -> np.ndarray:
    mask = np.zeros((20, 20, 10), np.uint8)
    mask[tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))] = 1
    return mask


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two masks of several ragged lesions, some of which touch the image's border."""
    rng = np.random.default_rng(seed)
    places = np.indices((40, 36, 12)).reshape(3, -1).T
    masks = []
    for shift in (0.0, 1.5):
        mask = np.zeros(len(places), bool)
        for centre in np.random.default_rng(seed).uniform((0, 0, 0), (40, 36, 12), (4, 3)):
            radius = np.linalg.norm((places - centre - shift) * (1, 1.2, 2.5), axis=1)
            mask |= radius + rng.normal(0, 0.7, len(places)) < 6
        masks.append(mask.reshape(40, 36, 12).astype(np.uint8))
    return masks[0], masks[1]


def as_itk(mask: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.transpose())
    image.SetSpacing((1.0, 2.0, 5.0))
    return image


def surface_by_hand(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Voxels of a mask with a neighbour across a face that is not in it, or none there."""
    inside = set(map(tuple, np.argwhere(mask).tolist()))
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return [v for v in inside if any(tuple(np.add(v, step)) not in inside for step in steps)]


def distances_by_hand(pred: np.ndarray, ref: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    one, two = (np.array(surface_by_hand(mask)) @ affine[:3, :3].T for mask in (pred, ref))
    apart = np.linalg.norm(one[:, None] - two[None], axis=-1)
    there, back = apart.min(axis=1), apart.min(axis=0)
    return max(np.percentile(there, 95), np.percentile(back, 95)), float(np.concatenate([there, back]).mean())


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
    assert false.volume_error_ml == pytest.approx(0.32) and false.lesions_false == 1
    missed = volume_scores(empty, box(3, 3, 3), AFFINE)
    assert (missed.dice, missed.sensitivity, missed.lesion_f1) == (0, 0, 0) and math.isnan(missed.precision)
    assert missed.volume_error_ml == pytest.approx(-0.32)


def test_lesions_are_found_or_not() -> None:
    reference = box(1, 1, 1) | box(10, 10, 6)
    touched = volume_scores(box(3, 3, 2), reference, AFFINE)
    assert (touched.lesions_ref, touched.lesions_found, touched.lesions_pred, touched.lesions_false) == (2, 1, 1, 0)
    assert touched.lesion_f1 == pytest.approx(2 / 3)
    more = volume_scores(reference | box(1, 12, 1), reference, AFFINE)
    assert (more.lesions_found, more.lesions_false) == (2, 1)
    assert more.lesion_f1 == pytest.approx(0.8)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    chain = box(1, 1, 1) | box(5, 5, 3)
    assert volume_scores(chain, chain, AFFINE).lesions_ref == 1


@pytest.mark.parametrize("seed", range(4))
def test_simple_itk_says_the_same(seed: int) -> None:
    pred, ref = blobs(seed)
    scores = volume_scores(pred, ref, AFFINE)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(as_itk(pred), as_itk(ref))
    assert scores.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert scores.sensitivity == pytest.approx(1 - overlap.GetFalseNegativeError())
    assert scores.precision == pytest.approx(1 - overlap.GetFalseDiscoveryRate())
    assert scores.specificity == pytest.approx(1 - overlap.GetFalsePositiveError())

    shells = [sitk.LabelContour(as_itk(np.pad(mask, 1)), fullyConnected=False) for mask in (pred, ref)]
    distances = []
    for one, two in (shells, shells[::-1]):
        field = sitk.Abs(sitk.SignedMaurerDistanceMap(two, squaredDistance=False, useImageSpacing=True))
        distances.append(sitk.GetArrayViewFromImage(field)[sitk.GetArrayViewFromImage(one) > 0])
    assert scores.hd95_mm == pytest.approx(max(np.percentile(part, 95) for part in distances), rel=1e-4)
    assert scores.assd_mm == pytest.approx(np.concatenate(distances).mean(), rel=1e-4)

    parts = sitk.ConnectedComponentImageFilter()
    parts.FullyConnectedOn()
    parts.Execute(as_itk(ref))
    assert scores.lesions_ref == parts.GetObjectCount()


@pytest.mark.parametrize("affine", [AFFINE, TILTED], ids=["orthogonal", "tilted"])
def test_surfaces_are_measured_where_voxels_truly_lie(affine: np.ndarray) -> None:
    pred, ref = blobs(5)
    scores = volume_scores(pred, ref, affine)
    assert (scores.hd95_mm, scores.assd_mm) == pytest.approx(distances_by_hand(pred, ref, affine), rel=1e-5)


def test_cropping_changes_nothing() -> None:
    pred, ref = (np.pad(mask, ((3, 90), (70, 0), (11, 5))) for mask in blobs(6))
    scores = volume_scores(pred, ref, AFFINE)
    masks = [torch.from_numpy(mask)[None, None] for mask in (pred, ref)]
    options = {"include_background": True, "spacing": [1.0, 2.0, 5.0]}
    assert scores.dice == pytest.approx(float(compute_dice(*masks)))
    assert scores.hd95_mm == pytest.approx(float(compute_hausdorff_distance(*masks, percentile=95, **options)))
    assert scores.assd_mm == pytest.approx(float(compute_average_surface_distance(*masks, symmetric=True, **options)))
    outside = pred.size - np.count_nonzero(ref)
    assert scores.specificity == pytest.approx(1 - np.count_nonzero(pred & ~ref & 1) / outside, abs=1e-12)


def test_a_thin_scan_of_large_matrix_is_counted_exactly() -> None:
    ref = np.zeros((512, 512, 80), bool)
    pred = ref.copy()
    ref[100, 100, 10], pred[100, 100, 10:12] = True, True
    scores = volume_scores(pred, ref, np.diag([0.5, 0.5, 1.0, 1.0]))
    assert 1 - scores.specificity == pytest.approx(1 / (ref.size - 1), rel=1e-6)


def test_the_papers_slices_score_1_where_nothing_is_and_nothing_is_said() -> None:
    pred, ref = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    pred[1, 0, :3] = ref[1, 0, 1:] = pred[2, 0, 0] = True
    scores = slice_scores(pred, ref)
    assert scores.paper_dice.tolist() == pytest.approx([1.0, 5 / 7, 1 / 2])
    assert scores.dice.tolist() == pytest.approx([math.nan, 2 / 3, 0.0], nan_ok=True)
    assert scores.sensitivity.tolist() == pytest.approx([math.nan, 2 / 3, math.nan], nan_ok=True)
    assert scores.specificity.tolist() == pytest.approx([1.0, 12 / 13, 15 / 16])
    assert scores.precision.tolist() == pytest.approx([math.nan, 2 / 3, 0.0], nan_ok=True)
    assert scores.pixels_ref.tolist() == [0, 3, 0]


@pytest.mark.parametrize("seed", range(2))
def test_slices_are_what_monai_says_of_each(seed: int) -> None:
    pred, ref = (mask.transpose(2, 0, 1) for mask in blobs(seed))
    expected = compute_dice(torch.from_numpy(pred)[:, None], torch.from_numpy(ref)[:, None], ignore_empty=True)[:, 0]
    scores = slice_scores(pred, ref)
    seen = scores.pixels_ref > 0  # MONAI leaves Dice undefined where the reference is empty
    assert seen.any() and scores.dice[seen].tolist() == pytest.approx(expected.numpy()[seen].tolist())


def test_masks_on_other_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="same grid"):
        volume_scores(box(1, 1, 1), box(1, 1, 1)[:-1], AFFINE)


def test_scores_are_plain_numbers() -> None:
    scores = volume_scores(box(3, 5, 3), box(3, 3, 3), AFFINE)
    assert {type(value) for value in asdict(scores).values()} == {float, int}
    assert set(asdict(scores)) == set(VolumeScores.__dataclass_fields__)
