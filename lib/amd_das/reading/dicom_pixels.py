"""DICOM pixel data to stored values: uncompressed by numpy, RLE by pydicom, JPEG and JPEG 2000 by ITK's codecs."""

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import RLELossless

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


def frame_shape(dataset: Dataset, name: str) -> tuple[int, int, int]:
    """(frames, rows, columns) as the tags claim; raises UnreadableError where they are absent or not positive."""
    frames, rows, columns = (
        number(dataset, keyword, name) for keyword in ("NumberOfFrames", "Rows", "Columns")
    )
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
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
    if syntax is None or not syntax.is_compressed:
        expected = int(np.prod(shape, dtype=np.int64)) * width
        if len(dataset.PixelData) < expected:
            raise UnreadableError(
                f"{name}: the pixel data is too short, {len(dataset.PixelData)} bytes where {shape[1]} × {shape[2]} "
                f"pixels in {shape[0]} frame(s) need {expected}; copy or export it again"
            )
        order = "<" if dataset.is_little_endian else ">"
        return np.frombuffer(dataset.PixelData, f"{order}u{width}", expected // width).reshape(shape)
    try:
        array = dataset.pixel_array if syntax == RLELossless else _decoded_by_itk(dataset)
        return np.ascontiguousarray(array).view(f"u{array.itemsize}").reshape(shape)
    except Exception as error:  # codecs raise whatever a broken stream provokes
        raise UnreadableError(
            f"{name}: the pixel data ({syntax.name}) cannot be decoded ({error}); export the series uncompressed"
        ) from error


def _decoded_by_itk(dataset: Dataset) -> np.ndarray:
    """Let ITK decode a copy that holds the pixels and nothing else; the copy is gone afterwards."""
    import SimpleITK as sitk  # half a second to import, and few series are compressed

    copy = Dataset()
    copy.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    copy.SOPInstanceUID = "1.2.3"
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            setattr(copy, keyword, dataset[keyword].value)
    copy.add(dataset["PixelData"])
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    copy.is_little_endian, copy.is_implicit_VR = True, False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.dcm"
        copy.save_as(path, write_like_original=False)
        array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return array


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
