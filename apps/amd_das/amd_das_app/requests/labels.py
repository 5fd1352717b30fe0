"""Label uploads: accepted only when they are a mask of the image they are saved for."""

from pathlib import Path

import numpy as np

from amd_das.conventions import LABELS
from amd_das.errors import GeometryError, InputError
from amd_das.reading import ReadingConfig, read_volume
from amd_das.volume import Volume

GRID_TOLERANCE = 0.05
"""How far a corner of the label's grid may lie from the image's, in the smallest voxel edge (headers round)."""


class LabelError(InputError):
    """The file is an image, but not a mask of these labels."""

    code = "bad_label"


def check_same_grid(label: Volume, image: Volume) -> None:
    """Raises GeometryError unless both have the same shape and lie in the same place."""
    if label.shape != image.shape:
        shapes = [" × ".join(map(str, volume.shape)) for volume in (label, image)]
        raise GeometryError(
            f"the label has {shapes[0]} voxels and its image {shapes[1]}; export it on the image's grid"
        )
    last = np.array(image.shape) - 1
    corners = np.array([[*(last * np.array(corner)), 1] for corner in np.ndindex(2, 2, 2)]).T
    apart = np.linalg.norm(((label.affine - image.affine) @ corners)[:3], axis=0).max()
    if not apart <= GRID_TOLERANCE * image.spacing.min():
        raise GeometryError(f"the label's grid lies {apart:.2f} mm off its image's; export it on the image's grid")


def check_label(label_path: Path, image_path: Path, reading: ReadingConfig) -> None:
    """Raises an InputError unless the file is a mask on the image's grid with values among the labels' or 0."""
    label = read_volume(label_path, reading)
    allowed = sorted({0, *LABELS.values()})
    values = np.unique(label.array)
    if foreign := [float(value) for value in values if value not in allowed]:
        named = ", ".join(f"{value} = {name}" for name, value in LABELS.items())
        raise LabelError(
            f"the label holds values such as {', '.join(f'{value:g}' for value in foreign[:5])}; "
            f"expected only 0 (background) and {named}"
        )
    check_same_grid(label, read_volume(image_path, reading))
