"""NIfTI-1 and NIfTI-2 in one file, plain or gzip-compressed."""

import io
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from amd_das.errors import GeometryError, UnreadableError
from amd_das.reading.checks import (
    check_affine,
    check_file_size,
    check_number_type,
    check_shape,
    check_values,
    file_case_id,
)
from amd_das.reading.config import ReadingConfig
from amd_das.reading.payload import GZIP_MAGIC, Stream, decompressed, read_up_to, read_voxels
from amd_das.volume import Volume

_HEADERS = {348: Nifti1Header, 540: Nifti2Header}
_MAX_EXTENSION_BYTES = 2**24


def read_nifti(path: Path, config: ReadingConfig) -> Volume:
    """One NIfTI file in HU; the sform is preferred to the qform.

    With neither, nibabel's and FSL's reading of such files applies (first axis to the patient's left, centred), with
    a warning; voxel sizes of 1 × 1 × 1 are then taken for what they are, a default nobody has set.
    A file with two axes is a slice only where its affine places it in space, see :func:`_shape`.

    Raises:
        UnreadableError, GeometryError, NotHeadCtError, TooLargeError: see :mod:`amd_das.reading.checks`.
    """
    name = path.name
    check_file_size([path], name, config)
    with path.open("rb") as file:
        encoding = "gzip" if file.read(2) == GZIP_MAGIC else "raw"
        file.seek(0)
        stream = decompressed(file, encoding)
        header, consumed = _read_header(stream, name)
        dtype = header.get_data_dtype()
        check_number_type(dtype, name)
        affine, spacing_known, warnings = _geometry(header, name)
        shape = _shape(header, affine, name)
        check_shape(shape, name, config)
        affine = check_affine(affine, name)
        offset = float(header["vox_offset"])
        if not consumed <= offset <= _MAX_EXTENSION_BYTES:  # false for NaN, too
            raise UnreadableError(f"{name}: the voxels cannot start at byte {offset:g}; export the file again")
        read_up_to(stream, int(offset) - consumed, name)
        array = read_voxels(stream, shape, dtype, name)
    slope, intercept = _scaling(header, name)
    if (slope, intercept) != (1.0, 0.0):
        array *= np.float32(slope)
        array += np.float32(intercept)
    return Volume(
        array=check_values(array, name),
        affine=affine,
        case_id=file_case_id(path),
        source="nifti",
        spacing_known=spacing_known,
        warnings=warnings,
    )


def _read_header(stream: Stream, name: str) -> tuple[Nifti1Header, int]:
    """The parsed header and the number of bytes read for it."""
    start = read_up_to(stream, 4, name)
    sizes = {int.from_bytes(start, order) for order in ("little", "big")}
    size = next((size for size in sizes if len(start) == 4 and size in _HEADERS), None)
    if size is None:
        raise UnreadableError(f"{name} is not a NIfTI image: it does not start with a NIfTI header; export it again")
    block = start + read_up_to(stream, size - 4, name)
    if len(block) < size:
        raise UnreadableError(f"{name} is truncated: {len(block)} of the {size} bytes of its header are there")
    try:
        header = _HEADERS[size].from_fileobj(io.BytesIO(block), check=True)
    except (HeaderDataError, WrapStructError, ValueError, KeyError) as error:
        raise UnreadableError(f"{name}: the NIfTI header is damaged ({error}); export the file again") from error
    if not bytes(header["magic"]).startswith(b"n+"):
        raise UnreadableError(f"{name} keeps its voxels in another file (.hdr and .img); save it as one .nii.gz")
    return header, size


def _geometry(header: Nifti1Header, name: str) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """(4, 4) affine, whether the voxel size is known, warnings."""
    try:
        if header["sform_code"] > 0:
            return header.get_sform(), True, ()
        if header["qform_code"] > 0:
            return header.get_qform(), True, ()
        affine = header.get_best_affine()
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise GeometryError(f"{name}: the orientation in the header is damaged ({error}); export it again") from error
    spacing = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    warning = "the file does not say how the image lies in the patient: left and right may be exchanged"
    if np.array_equal(spacing, np.ones(3)):
        warning += "; nor does it give a voxel size, so volumes in mL cannot be trusted"
        return affine, False, (warning,)
    return affine, True, (warning,)


def _shape(header: Nifti1Header, affine: np.ndarray, name: str) -> tuple[int, ...]:
    """(I, J, K): further axes of length 1 are dropped.

    Two axes are a slice where sform or qform place them in space, so that its thickness is known; the identity is no
    such statement, and what comes without is a picture.
    """
    count = int(header["dim"][0])
    shape = [int(length) for length in header["dim"][1 : count + 1]]
    if len(shape) == 2:
        placed = header["sform_code"] > 0 or header["qform_code"] > 0
        if placed and not np.array_equal(affine[:3, :3], np.eye(3)):
            return (*shape, 1)
        raise GeometryError(
            f"{name} is a flat picture of {shape[0]} × {shape[1]} pixels without a place in space; expected a volume, "
            "or a slice saved as I × J × 1 with its affine"
        )
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def _scaling(header: Nifti1Header, name: str) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise UnreadableError(f"{name}: scl_slope and scl_inter are damaged ({error}); export it again") from error
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)
