"""NRRD with its voxels in the same file, as ITK, 3D Slicer and pynrrd write it."""

import io
from pathlib import Path
from typing import Any, Final

import nrrd
import numpy as np

from amd_das.errors import GeometryError, NotHeadCtError, UnreadableError
from amd_das.reading.checks import (
    check_affine,
    check_file_size,
    check_number_type,
    check_shape,
    check_values,
    file_case_id,
)
from amd_das.reading.config import ReadingConfig
from amd_das.reading.payload import decompressed, read_voxels
from amd_das.volume import Volume

_HEADER_BYTES: Final = 2**20
_DTYPES: Final = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_ENCODINGS: Final = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_TO_RAS: Final = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
}


def read_nrrd(path: Path, config: ReadingConfig) -> Volume:
    """One NRRD file in HU; where the header names no anatomical space, LPS is assumed as ITK does, with a warning.

    A file with two axes is a slice only where its space is three-dimensional and its thickness is given.

    Raises:
        UnreadableError, GeometryError, NotHeadCtError, TooLargeError: see :mod:`amd_das.reading.checks`.
    """
    name = path.name
    check_file_size([path], name, config)
    with path.open("rb") as file:
        header, start = _read_header(file.read(_HEADER_BYTES), name)
        dtype, encoding = _storage(header, name)
        shape, affine, spacing_known, warnings = _grid(header, name)
        check_shape(shape, name, config)
        affine = check_affine(affine, name)
        file.seek(start)
        array = read_voxels(decompressed(file, encoding), shape, dtype, name)
    return Volume(
        array=check_values(array, name),
        affine=affine,
        case_id=file_case_id(path),
        source="nrrd",
        spacing_known=spacing_known,
        warnings=warnings,
    )


def _read_header(head: bytes, name: str) -> tuple[dict[str, Any], int]:
    """The parsed header and the byte at which the voxels start."""
    if not head.startswith(b"NRRD"):
        raise UnreadableError(f"{name} is not an NRRD image: it does not start with NRRD; export it again")
    ends = [head.find(blank) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in head]
    if not ends:
        raise UnreadableError(f"{name} is truncated: no blank line ends its header; copy or export the file again")
    try:
        header = nrrd.read_header(io.BytesIO(head[: min(ends)]))
        sizes = [int(size) for size in header["sizes"]]
        if len(sizes) != header["dimension"]:
            raise ValueError(f"{len(sizes)} sizes for {header['dimension']} dimensions")
    except (nrrd.NRRDError, ValueError, LookupError, TypeError) as error:
        raise UnreadableError(f"{name}: the NRRD header is damaged ({error}); export the file again") from error
    return header, min(ends)


def _storage(header: dict[str, Any], name: str) -> tuple[np.dtype, str]:
    """How the voxels lie in the file: numpy dtype, and the encoding as :func:`decompressed` names it."""
    if "data file" in header or "datafile" in header:
        raise UnreadableError(f"{name} keeps its voxels in another file; save it as one .nrrd file")
    kind, encoding = str(header.get("type", "")), str(header.get("encoding", ""))
    if kind not in _DTYPES:
        raise NotHeadCtError(f"{name}: voxels of type {kind!r}; expected one number per voxel in HU")
    if encoding not in _ENCODINGS:
        raise UnreadableError(f"{name}: encoding {encoding!r} is not supported; save it with gzip or raw encoding")
    if any(header.get(field, 0) for field in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise UnreadableError(f"{name}: bytes or lines to skip are not supported; save it again without")
    dtype = np.dtype(_DTYPES[kind])
    endian = header.get("endian", "little" if dtype.itemsize == 1 else None)
    if endian not in ("little", "big"):
        raise UnreadableError(f"{name}: endian is {endian!r}, expected little or big; export the file again")
    dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    check_number_type(dtype, name)
    return dtype, _ENCODINGS[encoding]


def _grid(header: dict[str, Any], name: str) -> tuple[tuple[int, ...], np.ndarray, bool, tuple[str, ...]]:
    """Shape, (4, 4) affine to RAS mm, whether the voxel size is known, warnings."""
    sizes = [int(size) for size in header["sizes"]]
    directions = header.get("space directions")
    spacings = header.get("spacings")
    units = [unit for unit in header.get("space units", []) if unit not in ("mm", "", "???")]
    if units:
        raise GeometryError(f"{name}: lengths are in {units[0]!r}, expected mm; export the image in mm")
    if directions is None:
        if len(sizes) == 2:
            raise GeometryError(_flat(name, sizes))
        spatial = _squeezed(sizes, [True] * len(sizes), header, name)
        known = spacings is not None and bool(np.isfinite(np.asarray(spacings, float)[spatial]).all())
        edges = np.asarray(spacings, float)[spatial] if known else np.ones(len(spatial))
        columns = np.diag(edges) if len(spatial) == 3 else np.eye(3)
    else:
        directions = np.asarray(directions, dtype=np.float64)
        if directions.shape != (len(sizes), 3):
            if len(sizes) == 2:
                raise GeometryError(_flat(name, sizes))
            raise GeometryError(
                f"{name}: space directions of shape {directions.shape}, expected {len(sizes)} vectors of 3"
            )
        known = True
        spatial = _squeezed(sizes, list(~np.isnan(directions).all(axis=1)), header, name)
        columns = directions[spatial].T
        if len(sizes) == 2:
            columns = _with_thickness(columns, header, name, sizes)
            sizes, spatial = [*sizes, 1], [0, 1, 2]
    shape = tuple(sizes[axis] for axis in spatial)
    if len(shape) != 3:
        return shape, np.eye(4), known, ()
    warnings = []
    space = str(header.get("space", "")).lower()
    if space not in _TO_RAS or directions is None:
        warnings.append(
            "the file does not say how the image lies in the patient: left and right may be exchanged"
            + ("" if known else "; nor does it give a voxel size, so volumes in mL cannot be trusted")
        )
    origin = np.asarray(header.get("space origin", np.zeros(3)), dtype=np.float64)
    if origin.shape != (3,):
        raise GeometryError(f"{name}: the space origin {origin.tolist()} is not a point in space; export it again")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns, origin
    signs = np.array([*_TO_RAS.get(space, _TO_RAS["lps"]), 1.0])
    return shape, signs[:, None] * affine, known, tuple(warnings)


def _squeezed(sizes: list[int], spatial: list[bool], header: dict[str, Any], name: str) -> list[int]:
    """The axes that span space: an axis without direction, or a fourth one, may only have length 1."""
    keep = [axis for axis, is_spatial in enumerate(spatial) if is_spatial]
    for axis, length in enumerate(sizes):
        if not spatial[axis] and length != 1:
            kinds = header.get("kinds", [])
            kind = kinds[axis] if axis < len(kinds) else "list"
            raise NotHeadCtError(
                f"{name} holds {length} numbers per voxel (an axis of kind {kind!r}: colour, vectors or a time "
                "series); expected one in HU. Export a single volume."
            )
    while len(keep) > 3 and sizes[keep[-1]] == 1:
        keep.pop()
    return keep


def _with_thickness(columns: np.ndarray, header: dict[str, Any], name: str, sizes: list[int]) -> np.ndarray:
    """(3, 2) in-plane vectors → (3, 3) with the normal, as long as the slice is thick."""
    thicknesses = np.asarray(header.get("thicknesses", []), dtype=np.float64)
    thickness = thicknesses[np.isfinite(thicknesses) & (thicknesses > 0)]
    normal = np.cross(columns[:, 0], columns[:, 1])
    length = float(np.linalg.norm(normal))
    if not thickness.size or not length > 0:
        raise GeometryError(_flat(name, sizes))
    return np.column_stack([columns, normal / length * thickness[0]])


def _flat(name: str, sizes: list[int]) -> str:
    return (
        f"{name} is a flat picture of {sizes[0]} × {sizes[1]} pixels without thickness or place in space; expected a "
        "volume, or a slice saved as I × J × 1 with three space directions"
    )
