"""What every format has to satisfy, whatever file it came from."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from amd_das.errors import GeometryError, NotHeadCtError, TooLargeError, UnreadableError
from amd_das.reading.config import ReadingConfig

AIR_HU: Final = -1024.0
"""The lowest value a CT scale holds: what lies outside the scanned circle is set to it."""

LOWEST_PADDING_HU: Final = -4096.0
"""Scanners and converters pad with values from here to air (-1500, -2000, -2048, -3024); lower ones are left as they
are, because they are no HU and the check for HU must see them."""

SPACING_MM: Final = (0.01, 100.0)
"""Voxel sizes that can be true; outside of it the header is absurd or in another unit."""

SMALLEST_SINE: Final = 0.1
"""A grid flatter than this (volume of the voxel over the product of its edges) is singular for our purposes."""


def check_file_size(paths: Sequence[Path], name: str, config: ReadingConfig) -> None:
    """Raises TooLargeError over the limit, UnreadableError for an empty file."""
    sizes = [path.stat().st_size for path in paths]
    if 0 in sizes:
        raise UnreadableError(f"{paths[sizes.index(0)].name} is empty (0 bytes); copy or export it again")
    if sum(sizes) > config.max_file_bytes:
        raise TooLargeError(f"{name} has {sum(sizes)} bytes, the limit is {config.max_file_bytes} (max_file_bytes)")


def check_shape(shape: Sequence[int], name: str, config: ReadingConfig) -> None:
    """(I, J, K) as a header claims it: three axes, at most one of them of length 1, within the limit."""
    axes = " × ".join(str(length) for length in shape)
    if len(shape) != 3:
        raise GeometryError(
            f"{name} has {len(shape)} axes ({axes}); expected one image with three. "
            + ("Extract a single volume of the series." if len(shape) > 3 else "Save the slice as I × J × 1.")
        )
    if min(shape) < 1 or sorted(shape)[1] < 2:
        raise GeometryError(f"{name} has the impossible shape {axes}; expected a volume, or a slice of I × J × 1")
    if math.prod(shape) > config.max_voxels:
        raise TooLargeError(
            f"{name} claims {axes} = {math.prod(shape)} voxels, the limit is {config.max_voxels} (max_voxels)"
        )


def check_number_type(dtype: np.dtype, name: str) -> None:
    """Real numbers of at most 8 bytes; raises NotHeadCtError for colour and complex voxels."""
    if dtype.names or dtype.subdtype or dtype.kind not in "iuf" or dtype.itemsize > 8:
        what = "colour" if dtype.names else {"c": "complex numbers", "V": "blocks"}.get(dtype.kind, str(dtype))
        raise NotHeadCtError(f"{name} holds {what}; expected one number per voxel in HU. Export the original CT.")


def check_affine(affine: np.ndarray, name: str) -> np.ndarray:
    """(4, 4) voxel to mm, returned as float64; raises GeometryError where it is no invertible map at human scale."""
    affine = np.asarray(affine, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise GeometryError(f"{name}: the affine holds NaN or infinity; export the image again with its geometry")
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = SPACING_MM
    if (edges < low).any() or (edges > high).any():
        sizes = " × ".join(f"{edge:.4g}" for edge in edges)
        raise GeometryError(f"{name}: a voxel of {sizes} mm is not possible; expected {low:g} to {high:g} mm an axis")
    if abs(np.linalg.det(affine[:3, :3] / edges)) < SMALLEST_SINE:
        raise GeometryError(f"{name}: the affine is singular (its axes lie in one plane); export the image again")
    return affine + 0.0  # no negative zeros


def check_values(array: np.ndarray, name: str) -> np.ndarray:
    """(I, J, K) float32 → the same with padding raised to air; raises NotHeadCtError for NaN or infinity."""
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise NotHeadCtError(
            f"{name}: {bad} of {array.size} voxels are NaN or infinite; expected HU everywhere. "
            f"Export the original CT, or set what lies outside the scan to {AIR_HU:g}."
        )
    array[(array < AIR_HU) & (array >= LOWEST_PADDING_HU)] = AIR_HU
    return array


def file_case_id(path: Path) -> str:
    """The file's name without folder and image suffix, with nothing but letters, digits, ``._-``."""
    stem = re.sub(r"(\.nii)?(\.gz)?$|\.(nrrd|dcm|dicom|ima)$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-") or "image"
