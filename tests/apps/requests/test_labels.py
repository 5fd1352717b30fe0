"""A label is saved only for the image whose grid it is on."""

from pathlib import Path

import numpy as np
import pytest

from amd_das.errors import GeometryError, InputError
from amd_das.reading import ReadingConfig, write_mask
from amd_das.volume import Volume
from amd_das_app.requests.labels import LabelError, check_label

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2.0, 0, -30], [0, 0, 5.0, 7.123456], [0, 0, 0, 1]])


def volume(affine: np.ndarray = AFFINE, shape: tuple[int, int, int] = (12, 10, 6)) -> Volume:
    return Volume(array=np.zeros(shape, np.float32), affine=affine, case_id="case")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_mask(np.full((12, 10, 6), 3, np.uint8), volume(), tmp_path / "image.nii.gz")


def label_file(tmp_path: Path, mask: np.ndarray, like: Volume, extension: str = ".nrrd") -> Path:
    return write_mask(mask.astype(np.uint8), like, tmp_path / f"label{extension}")


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("lesion", [0, 1])
def test_masks_on_the_grid_pass_with_and_without_a_lesion(
    tmp_path: Path, image: Path, extension: str, lesion: int
) -> None:
    mask = np.zeros((12, 10, 6))
    mask[3:5, 3:5, 2] = lesion
    check_label(label_file(tmp_path, mask, volume(), extension), image, ReadingConfig())


def test_foreign_values_are_refused(tmp_path: Path, image: Path) -> None:
    mask = np.zeros((12, 10, 6))
    mask[0, 0, 0] = 7
    with pytest.raises(LabelError, match=r"such as 7; expected only 0 \(background\) and 1 = hemorrhage"):
        check_label(label_file(tmp_path, mask, volume()), image, ReadingConfig())


def test_another_shape_is_refused(tmp_path: Path, image: Path) -> None:
    other = volume(shape=(12, 10, 7))
    with pytest.raises(GeometryError, match="12 × 10 × 7 voxels and its image 12 × 10 × 6"):
        check_label(label_file(tmp_path, np.zeros(other.shape), other), image, ReadingConfig())


SHIFT = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])


@pytest.mark.parametrize("move", [np.diag([-1.0, 1, 1, 1]), np.diag([1.02, 1, 1, 1]), SHIFT])
def test_another_place_is_refused(tmp_path: Path, image: Path, move: np.ndarray) -> None:
    other = volume(move @ AFFINE)
    with pytest.raises(GeometryError, match="mm off its image"):
        check_label(label_file(tmp_path, np.zeros(other.shape), other), image, ReadingConfig())


def test_random_bytes_are_refused(tmp_path: Path, image: Path) -> None:
    path = tmp_path / "label.nii.gz"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(InputError):
        check_label(path, image, ReadingConfig())
