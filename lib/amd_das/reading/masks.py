"""Masks to files, on exactly the grid of the image they belong to."""

import gzip
import io
from pathlib import Path

import nibabel
import nrrd
import numpy as np

from amd_das.errors import ConfigError
from amd_das.files import write_whole
from amd_das.volume import Volume


def write_mask(mask: np.ndarray, like: Volume, path: Path) -> Path:
    """Write a mask as ``.nii.gz`` or ``.nrrd``; the file appears complete or not at all.

    Args:
        mask: (I, J, K) uint8, same shape as ``like.array``.
        like: the volume whose affine the file gets, sheared or oblique as it may be.
        path: ends in ``.nii.gz`` or ``.nrrd``; its folder exists.

    Returns:
        ``path``.

    Raises:
        ConfigError: another suffix, shape or dtype.
    """
    path = Path(path)
    if mask.shape != like.shape or mask.dtype != np.uint8:
        raise ConfigError(
            f"a mask of shape {mask.shape} and type {mask.dtype} does not belong to an image of shape {like.shape}; "
            "expected uint8 of the same shape"
        )
    if path.name.endswith(".nii.gz"):
        content = _nifti(mask, like.affine)
    elif path.name.endswith(".nrrd"):
        content = _nrrd(mask, like.affine)
    else:
        raise ConfigError(f"cannot write a mask as {path.name!r}: expected a name that ends in .nii.gz or .nrrd")
    return write_whole(path, content)


def _nifti(mask: np.ndarray, affine: np.ndarray) -> bytes:
    image = nibabel.Nifti1Image(mask, affine)
    image.set_sform(affine, code="scanner")
    edges = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.allclose(edges.T @ edges, np.eye(3), atol=1e-6):  # a qform cannot be sheared
        image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def _nrrd(mask: np.ndarray, affine: np.ndarray) -> bytes:
    to_lps = np.diag([-1.0, -1.0, 1.0])
    header = {
        "space": "left-posterior-superior",
        "space directions": (to_lps @ affine[:3, :3]).T,
        "space origin": to_lps @ affine[:3, 3],
        "kinds": ["domain"] * 3,
        "encoding": "gzip",
    }
    buffer = io.BytesIO()
    nrrd.write(buffer, mask, header, compression_level=6)
    return buffer.getvalue()
