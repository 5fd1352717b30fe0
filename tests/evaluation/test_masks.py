"""Masks in folders: found by their case's name, and refused where they say no clear yes or no."""

from pathlib import Path

import numpy as np
import pytest
from helpers.labelled_sets import AFFINE, block, write_set, write_volume

from amd_das.errors import GeometryError, InputError, NotFoundError, UnreadableError
from amd_das.evaluation.masks import find_masks, read_masks


def test_masks_go_by_their_case(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b-iph.nii.gz", "b-sah.nii.gz", "c_mask.nii", "d-seg.nii.gz", "e-edh.nii.gz"):
        write_volume(block(2), tmp_path / name)
    (tmp_path / "summary.csv").write_text("case\n")
    assert {case: path.name for case, path in find_masks(tmp_path).items()} == {
        "a": "a.nii.gz",
        "b": "b-iph.nii.gz",
        "c": "c_mask.nii",
        "d": "d-seg.nii.gz",
        "e-edh": "e-edh.nii.gz",
    }


def test_no_folder_no_mask_or_two_for_a_case_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no folder"):
        find_masks(tmp_path / "none")
    with pytest.raises(UnreadableError, match="holds no mask"):
        find_masks(tmp_path)
    write_set(tmp_path, {"a": 1})
    write_set(tmp_path, {"a": 1}, ending="_mask")
    with pytest.raises(UnreadableError, match=r"two masks of a: a\.nii\.gz and a_mask\.nii\.gz"):
        find_masks(tmp_path)


def test_any_one_value_beside_0_is_lesion(tmp_path: Path) -> None:
    ref = write_volume(block(3) * 255, tmp_path / "ref.nii.gz")
    pred = write_volume(block(3), tmp_path / "pred.nii.gz")
    reference, preds = read_masks(ref, {"model": pred})
    assert np.array_equal(preds["model"], reference.array > 0) and preds["model"].sum() == 36


@pytest.mark.parametrize(
    ("array", "affine", "error", "words"),
    [
        (block(2)[:-1], AFFINE, GeometryError, r"pred\.nii\.gz does not lie on the grid.*\(23, 24, 6\), expected"),
        (block(2), AFFINE + np.diag([0, 0.5, 0, 0]), GeometryError, "aside of it. Resample"),
        (block(2) + block(4), AFFINE, UnreadableError, "not binary: it holds 1, 2 beside 0"),
        (block(2) * np.int8(-1), AFFINE, UnreadableError, "not binary: it holds -1"),
        (np.linspace(0, 1, 24 * 24 * 6).reshape(24, 24, 6), AFFINE, UnreadableError, "not binary: .*…"),
        (np.full((24, 24, 6), np.nan), AFFINE, InputError, r"mask .*pred\.nii\.gz: .*NaN"),
    ],
    ids=["shape", "place", "labels", "negative", "probabilities", "nan"],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, array: np.ndarray, affine: np.ndarray, error: type[InputError], words: str
) -> None:
    ref = write_volume(block(2), tmp_path / "ref.nii.gz")
    pred = write_volume(array, tmp_path / "pred.nii.gz", affine)
    with pytest.raises(error, match=words):
        read_masks(ref, {"model": pred})


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    ref = write_volume(block(2), tmp_path / "ref.nii.gz")
    (tmp_path / "pred.nii.gz").write_bytes(ref.read_bytes()[:60])
    with pytest.raises(UnreadableError, match=r"pred\.nii\.gz"):
        read_masks(ref, {"model": tmp_path / "pred.nii.gz"})
