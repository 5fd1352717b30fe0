"""Labelled MRI as simple as preparation accepts."""

from pathlib import Path

import nibabel
import numpy as np

AFFINE = np.array([[-4.0, 0, 0, 94], [0, -4.0, 0, 110], [0, 0, 7.0, -60], [0, 0, 0, 1]])
"""Voxels of 4 × 4 × 7 mm; rows run to the patient's left, columns to the back, as in the Decathlon."""


def make_flair(shape: tuple[int, int, int] = (48, 56, 20)) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid of brain, 300 of grey value, with a ball of 600 in front at the patient's right.

    Returns:
        (I, J, K) int16, 0 around the brain, and (I, J, K) uint8, 1 in the ball.
    """
    offset = [axis - (length - 1) / 2 for axis, length in zip(np.indices(shape), shape, strict=True)]
    radius = np.sqrt(sum((axis / (0.42 * length)) ** 2 for axis, length in zip(offset, shape, strict=True)))
    ball = np.sqrt((4 * offset[0] + 32) ** 2 + (4 * offset[1] + 40) ** 2 + (7 * offset[2]) ** 2) < 20
    return np.select([ball, radius < 1], [600, 300], 0).astype(np.int16), ball.astype(np.uint8)


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    """As NIfTI, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def write_decathlon(folder: Path, *names: str) -> Path:
    """:func:`make_flair` as the Decathlon stores it: four channels, the first FLAIR; labels of several values."""
    image, mask = make_flair()
    channels = np.stack([image, *(np.full_like(image, 7000) for _ in range(3))], axis=-1)
    for name in names:
        save(channels, folder / "imagesTr" / f"{name}.nii.gz")
        save(mask * 3, folder / "labelsTr" / f"{name}.nii.gz")
    return folder
