"""A mask lies exactly where its image lies, whoever reads it."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from amd_das.errors import ConfigError
from amd_das.reading import read_volume, write_mask
from amd_das.volume import Volume


@pytest.fixture
def like(hu: np.ndarray, affine: np.ndarray) -> Volume:
    return Volume(array=hu.astype(np.float32), affine=affine, case_id="ct")


@pytest.fixture
def mask(hu: np.ndarray) -> np.ndarray:
    return (hu > 500).astype(np.uint8)


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nrrd"])
def test_a_mask_reads_back_on_its_grid(tmp_path: Path, like: Volume, mask: np.ndarray, name: str) -> None:
    path = write_mask(mask, like, tmp_path / name)
    again = read_volume(path)
    np.testing.assert_array_equal(again.array, mask)
    np.testing.assert_allclose(again.affine, like.affine, rtol=1e-6, atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_other_readers_see_uint8_in_the_same_place(tmp_path: Path, like: Volume, mask: np.ndarray) -> None:
    image = nibabel.load(write_mask(mask, like, tmp_path / "mask.nii.gz"))
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, like.affine, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(image.dataobj), mask)


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nrrd"])
def test_itk_agrees_where_it_can(tmp_path: Path, like: Volume, mask: np.ndarray, name: str) -> None:
    """ITK knows no sheared grids; on all others both formats name the same points."""
    edges = like.affine[:3, :3] / like.spacing
    if not np.allclose(edges.T @ edges, np.eye(3), atol=1e-6):
        like = Volume(array=like.array, affine=np.diag([-0.5, -0.5, 5, 1.0]), case_id="ct")
    image = sitk.ReadImage(str(write_mask(mask, like, tmp_path / name)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, mask)
    for index in [(0, 0, 0), (8, 1, 5)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((like.affine @ [*index, 1])[:3], expected, atol=1e-4)


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path, like: Volume, mask: np.ndarray) -> None:
    first = write_mask(mask, like, tmp_path / "a.nii.gz").read_bytes()
    assert write_mask(mask, like, tmp_path / "b.nii.gz").read_bytes() == first


def test_masks_that_do_not_belong_are_refused(tmp_path: Path, like: Volume, mask: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"shape \(9, 8, 5\) and type uint8 does not belong"):
        write_mask(mask[:, :, :5], like, tmp_path / "mask.nii.gz")
    with pytest.raises(ConfigError, match="type float32 does not belong"):
        write_mask(mask.astype(np.float32), like, tmp_path / "mask.nii.gz")
    with pytest.raises(ConfigError, match=r"ends in \.nii\.gz or \.nrrd"):
        write_mask(mask, like, tmp_path / "mask.png")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, like: Volume, mask: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mask(mask, like, tmp_path / "mask.nii.gz")
    before = path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_mask(1 - mask, like, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["mask.nii.gz"]
