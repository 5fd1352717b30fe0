"""Stacks of pictures (TIFF, JPEG) as volumes. They have no voxel size, and are seen as radiologists see them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from amd_das.errors import GeometryError, UnreadableError
from amd_das.reading import ReadingConfig
from amd_das.reading.checks import check_file_size, check_shape
from amd_das.volume import Volume

AFFINE: Final = np.diag([-1.0, -1.0, 5.0, 1.0])
"""Of a picture stack: columns run to the patient's left, rows to the back, slices upwards; lengths are not known."""

NOT_MEASURED: Final = "pictures give no voxel size: volumes in mL cannot be trusted"


def stack(paths: Sequence[Path], config: ReadingConfig, *, channel: int | None = None) -> np.ndarray:
    """Pictures of one size → (I, J, K) uint8, the first index along the rows.

    Args:
        paths: in the order of the slices, from below.
        config: limits.
        channel: of colour pictures; None where there should be none (three equal ones are taken as grey).

    Raises:
        UnreadableError: a file is damaged, or has another number of channels.
        GeometryError: sizes differ.
        TooLargeError: over the limits.
    """
    check_file_size(paths, f"the {len(paths)} pictures of {paths[0].parent.name}", config)
    pictures = [_picture(path, channel, len(paths), config) for path in paths]
    sizes = sorted({picture.shape for picture in pictures})
    if len(sizes) > 1:
        raise GeometryError(f"the pictures in {paths[0].parent.name} are of {len(sizes)} sizes {sizes}; expected one")
    return np.stack(pictures).transpose(2, 1, 0)


def as_volume(array: np.ndarray, case: str) -> Volume:
    """(I, J, K) of a stack as a volume without a known voxel size."""
    return Volume(
        array=np.ascontiguousarray(array, np.float32),
        affine=AFFINE.copy(),
        case_id=case,
        source="pictures",
        spacing_known=False,
        warnings=(NOT_MEASURED,),
    )


def _picture(path: Path, channel: int | None, count: int, config: ReadingConfig) -> np.ndarray:
    """(rows, columns) uint8."""
    try:
        with Image.open(path) as image:
            check_shape((*image.size, count), path.name, config)  # before anything is decompressed
            array = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError(f"{path.name} is no readable picture ({error}); download it again") from error
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        raise UnreadableError(f"{path.name} holds {array.dtype}; expected 8 bits a channel")
    channels = array.shape[2] if array.ndim == 3 else 1
    if channel is None:
        if channels > 1 and np.ptp(array[..., :3].astype(np.int16), axis=2).max() > 16:
            raise UnreadableError(f"{path.name} is a colour picture of {channels} channels; expected shades of grey")
        return array if array.ndim == 2 else array[..., 0]
    if channel >= channels:
        raise UnreadableError(
            f"{path.name} has {channels} channel(s); expected FLAIR as number {channel}, counted from 0. Give the "
            "pictures as they are distributed."
        )
    return array[..., channel]
