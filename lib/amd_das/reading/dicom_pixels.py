"""DICOM pixel data to stored values: uncompressed by numpy, RLE by pydicom, JPEG and JPEG 2000 by ITK's codecs."""

import struct
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_pixel_data_frame
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from amd_das.errors import NotHeadCtError, UnreadableError
from amd_das.reading.dicom_files import number, text, value

_PIXEL_TAGS: Final = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)

_UNCOMPRESSED: Final = ("", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_DECODED_BY_ITK: Final = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)

_JPEG_2000_START: Final = b"\xff\x4f\xff\x51"
_JPEG_START: Final = b"\xff\xd8"
_JPEG_FRAME_MARKERS: Final = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 and JPEG-LS's SOF55; C4, C8 and CC mean something else."""


def frame_shape(dataset: Dataset, name: str) -> tuple[int, int, int]:
    """(frames, rows, columns) as the tags claim; raises UnreadableError where they are absent or not positive."""
    frames, rows, columns = (number(dataset, keyword, name) for keyword in ("NumberOfFrames", "Rows", "Columns"))
    shape = (1 if frames is None else int(frames), int(rows or 0), int(columns or 0))
    if min(shape) < 1:
        raise UnreadableError(f"{name}: {shape[0]} frame(s) of {shape[1]} × {shape[2]} pixels; export it again")
    return shape


def stored_values(dataset: Dataset, name: str) -> np.ndarray:
    """(frames, rows, columns) integers as stored, before rescaling: masked to the stored bits and signed.

    Raises:
        NotHeadCtError: colour.
        UnreadableError: pixel data absent, too short, or in an encoding that cannot be decoded.
    """
    samples = number(dataset, "SamplesPerPixel", name)
    photometric = text(dataset, "PhotometricInterpretation", name)
    if samples not in (None, 1) or (photometric and not photometric.startswith("MONOCHROME")):
        raise NotHeadCtError(
            f"{name} is a colour image ({photometric}, {samples or 1:g} samples per pixel); expected CT in HU, "
            "one number per pixel. Export the original CT series."
        )
    if value(dataset, "PixelData", name) is None:
        raise UnreadableError(f"{name} has no pixel data; export the series again with its images")
    allocated = _bits(dataset, "BitsAllocated", None, name)
    if allocated not in (8, 16, 32):
        raise UnreadableError(f"{name}: BitsAllocated is {allocated}, expected 8, 16 or 32; export it again")
    raw = _decoded(dataset, allocated, name)
    return _significant_bits(raw, dataset, allocated, name)


def as_stored(number_in_tag: float, dataset: Dataset, name: str) -> int:
    """A tag that holds a stored value (PixelPaddingValue), with the sign pixels have: writers mix up US and SS."""
    allocated = _bits(dataset, "BitsAllocated", None, name)
    raw = np.array([int(number_in_tag) % 2**allocated], dtype=f"u{allocated // 8}")
    return int(_significant_bits(raw, dataset, allocated, name)[0])


def _decoded(dataset: Dataset, allocated: int, name: str) -> np.ndarray:
    """(frames, rows, columns) unsigned integers of the allocated width."""
    shape = frame_shape(dataset, name)
    width = allocated // 8
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID", name))
    if syntax in _UNCOMPRESSED:
        expected = int(np.prod(shape, dtype=np.int64)) * width
        if len(dataset.PixelData) < expected:
            raise UnreadableError(
                f"{name}: the pixel data is too short, {len(dataset.PixelData)} bytes where {shape[1]} × {shape[2]} "
                f"pixels in {shape[0]} frame(s) need {expected}; copy or export it again"
            )
        order = "<" if dataset.is_little_endian else ">"
        return np.frombuffer(dataset.PixelData, f"{order}u{width}", expected // width).reshape(shape)
    if syntax != RLELossless and syntax not in _DECODED_BY_ITK:
        raise UnreadableError(f"{name}: the transfer syntax {syntax.name} is not supported; export it uncompressed")
    try:
        array = dataset.pixel_array if syntax == RLELossless else _decoded_by_itk(dataset, shape)
        return np.ascontiguousarray(array).view(f"u{array.itemsize}").reshape(shape)
    except Exception as error:  # codecs raise whatever a broken stream provokes
        raise UnreadableError(
            f"{name}: the pixel data ({syntax.name}) is damaged or of a kind that cannot be decoded; "
            "export the series uncompressed"
        ) from error


def _decoded_by_itk(dataset: Dataset, shape: tuple[int, int, int]) -> np.ndarray:
    """Let ITK decode a copy that holds the pixels and nothing else; the copy is gone afterwards.

    The codecs believe the size a codestream claims and not the tags that were checked, so it is compared first.
    """
    import SimpleITK as sitk  # half a second to import, and few series are compressed

    streams = list(generate_pixel_data_frame(dataset.PixelData, shape[0]))
    claimed = {_codestream_size(stream) for stream in streams}
    if len(streams) != shape[0] or claimed != {shape[1:]}:
        raise ValueError(f"{len(streams)} codestreams of size {claimed}, expected {shape[0]} of {shape[1:]}")
    copy = Dataset()
    copy.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    copy.SOPInstanceUID = "1.2.3"
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            setattr(copy, keyword, dataset[keyword].value)
    copy.PixelData = encapsulate(streams)
    copy["PixelData"].is_undefined_length = True
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    copy.is_little_endian, copy.is_implicit_VR = True, False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.dcm"
        copy.save_as(path, write_like_original=False)
        array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return array


def _codestream_size(stream: bytes) -> tuple[int, int]:
    """(rows, columns) a JPEG, JPEG-LS or JPEG 2000 codestream gives; raises ValueError, IndexError or struct.error."""
    if stream.startswith(_JPEG_2000_START):
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        return bottom - top, right - left
    if not stream.startswith(_JPEG_START):
        raise ValueError("neither a JPEG nor a JPEG 2000 codestream")
    at = 2
    while stream[at] == 0xFF and stream[at + 1] not in _JPEG_FRAME_MARKERS:
        (length,) = struct.unpack(">H", stream[at + 2 : at + 4])
        at += 2 + length
    if stream[at] != 0xFF:
        raise ValueError("no frame header in the JPEG codestream")
    rows, columns = struct.unpack(">2H", stream[at + 5 : at + 9])
    return rows, columns


def _significant_bits(raw: np.ndarray, dataset: Dataset, allocated: int, name: str) -> np.ndarray:
    """Unsigned integers as allocated → the stored bits alone, as int32 (int64 where 32 bits are allocated)."""
    stored = _bits(dataset, "BitsStored", allocated, name)
    high = _bits(dataset, "HighBit", stored - 1, name)
    signed = _bits(dataset, "PixelRepresentation", 0, name)
    if not (1 <= stored <= high + 1 <= allocated and signed in (0, 1)):
        raise UnreadableError(
            f"{name}: impossible pixel format (BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}, "
            f"PixelRepresentation {signed}); export it again"
        )
    values: np.ndarray = raw.astype(np.int64) if allocated == 32 else raw.astype(np.int32)
    values = (values >> (high + 1 - stored)) & (2**stored - 1)
    if signed:
        sign = 2 ** (stored - 1)
        values = (values ^ sign) - sign
    return values


def _bits(dataset: Dataset, keyword: str, default: int | None, name: str) -> int:
    found = number(dataset, keyword, name)
    if found is None and default is None:
        raise UnreadableError(f"{name}: the tag {keyword} is missing; export the series again")
    return int(found) if found is not None else int(default or 0)
