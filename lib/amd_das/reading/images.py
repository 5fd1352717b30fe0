"""A volume as a NIfTI file, for programs that read no DICOM series."""

import gzip
from pathlib import Path

import nibabel
import numpy as np

from amd_das.errors import ConfigError
from amd_das.files import write_whole
from amd_das.volume import Volume

_INT16 = np.iinfo(np.int16)


def write_image(volume: Volume, path: Path) -> Path:
    """Write as ``.nii.gz`` on the volume's own grid: int16 where every value is a whole number, else float32.

    Nothing but voxels and geometry is written, and the same volume gives the same bytes.

    Raises:
        ConfigError: another suffix.
    """
    if not path.name.endswith(".nii.gz"):
        raise ConfigError(f"cannot write an image as {path.name!r}: expected a name that ends in .nii.gz")
    array = volume.array
    if (array == np.rint(array)).all() and array.min() >= _INT16.min and array.max() <= _INT16.max:
        array = array.astype(np.int16)
    image = nibabel.Nifti1Image(array, volume.affine)
    image.set_sform(volume.affine, code="scanner")
    edges = volume.affine[:3, :3] / volume.spacing
    if np.allclose(edges.T @ edges, np.eye(3), atol=1e-6):  # a qform cannot be sheared
        image.set_qform(volume.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return write_whole(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
