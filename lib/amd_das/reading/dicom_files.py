"""DICOM files opened safely: what one is, without its pixels, and whether it is a slice of a CT at all."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from amd_das.errors import UnreadableError

DICOM_SUFFIXES: Final = (".dcm", ".dicom", ".ima")
CT_CLASSES: Final = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""CT Image, Enhanced CT Image and Legacy Converted Enhanced CT Image Storage."""

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_HEADER_TAGS: Final = ["SOPClassUID", "ImageType", "Modality", "SeriesInstanceUID", "Rows", "NumberOfFrames"]


@dataclass(frozen=True, kw_only=True)
class DicomHeader:
    """What is needed to sort a file into its series; nothing about the patient."""

    series_uid: str
    """SeriesInstanceUID, empty where the file has none."""

    modality: str
    """Modality, empty where the file has none."""

    left_out: str
    """Why the file is no slice ("localizer", "segmentation", "object without an image", …), or empty."""


def is_dicom(path: Path) -> bool:
    """By its suffix, or by the marker after the preamble."""
    return path.suffix.lower() in DICOM_SUFFIXES or _has_marker(path)


def read_header(path: Path) -> DicomHeader:
    """Read everything before the pixels; raises UnreadableError."""
    dataset = open_dicom(path, pixels=False)
    return DicomHeader(
        series_uid=text(dataset, "SeriesInstanceUID", path.name),
        modality=text(dataset, "Modality", path.name),
        left_out=reason_to_leave_out(dataset, path.name),
    )


def open_dicom(path: Path, *, pixels: bool) -> Dataset:
    """A parsed file. Deflated files are refused unread: their size in memory cannot be known.

    Raises:
        UnreadableError: not DICOM, empty, broken off or deflated.
    """
    name = path.name
    if path.stat().st_size == 0:
        raise UnreadableError(f"{name} is empty (0 bytes); copy or export it again")
    marked = _has_marker(path)
    try:
        if marked:
            syntax = read_file_meta_info(path).get("TransferSyntaxUID")
            if syntax == DeflatedExplicitVRLittleEndian:
                raise UnreadableError(f"{name} is deflated as a whole, which is not supported; export it uncompressed")
        elif _starts_with_meta(path):
            raise UnreadableError(f"{name} is DICOM without its preamble; export it again")
        dataset = dcmread(
            path, force=not marked, stop_before_pixels=not pixels, specific_tags=None if pixels else _HEADER_TAGS
        )
        if not marked and not ("SOPClassUID" in dataset or "Rows" in dataset):
            raise UnreadableError(f"{name} is not a DICOM file; give the original file or leave it out of the folder")
    except UnreadableError:
        raise
    except Exception as error:  # pydicom raises whatever a broken file provokes, from struct.error to RecursionError
        raise UnreadableError(
            f"{name} is not a readable DICOM file ({type(error).__name__}: {error}); copy or export it again"
        ) from error
    return dataset


def reason_to_leave_out(dataset: Dataset, name: str) -> str:
    """Why a file of a series is no slice of it; empty if it is one. Raises UnreadableError for a CT that breaks off."""
    kind = sop_class(dataset, name)
    if "Rows" not in dataset:
        if not kind or kind in CT_CLASSES:
            raise UnreadableError(f"{name} breaks off before the size of its image; copy or export it again")
        return "object without an image"
    if kind == _SECONDARY_CAPTURE or kind.startswith(_SECONDARY_CAPTURE + "."):
        return "secondary capture"
    if kind == _SEGMENTATION:
        return "segmentation"
    if "LOCALIZER" in text(dataset, "ImageType", name).upper():
        return "localizer"
    return ""


def sop_class(dataset: Dataset, name: str) -> str:
    """What kind of object a file holds: SOPClassUID, or what the file meta information says in its place."""
    return text(dataset, "SOPClassUID", name) or text(dataset.file_meta, "MediaStorageSOPClassUID", name)


def value(dataset: Dataset, keyword: str, name: str) -> Any:
    """The value of a tag, None where it is absent or empty; raises UnreadableError where it cannot be parsed."""
    try:
        found = dataset.get(keyword)
    except Exception as error:  # lazily parsed: see open_dicom
        raise UnreadableError(f"{name}: the tag {keyword} is damaged ({error}); export the series again") from error
    return None if found is None or (isinstance(found, str) and not found) else found


def text(dataset: Dataset, keyword: str, name: str) -> str:
    """A tag as text, several values joined by a backslash, empty where absent."""
    found = value(dataset, keyword, name)
    if found is None:
        return ""
    return found.strip() if isinstance(found, str) else "\\".join(map(str, np.atleast_1d(np.asarray(found, object))))


def numbers(dataset: Dataset, keyword: str, count: int, name: str) -> np.ndarray | None:
    """(count,) float64, or None where the tag is absent; raises UnreadableError for anything else than that."""
    found = value(dataset, keyword, name)
    if found is None:
        return None
    try:
        array = np.atleast_1d(np.asarray(found, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"{name}: {keyword} is {found!r}, expected {count} number(s); export it again") from error
    if array.size == 0:
        return None
    if array.shape != (count,) or not np.isfinite(array).all():
        raise UnreadableError(f"{name}: {keyword} is {array.tolist()}, expected {count} number(s); export it again")
    return array


def number(dataset: Dataset, keyword: str, name: str) -> float | None:
    """One number, or None where the tag is absent."""
    found = numbers(dataset, keyword, 1, name)
    return None if found is None else float(found[0])


def series_case_id(series_uid: str) -> str:
    """A short name for a series: always the same for the same UID, and it tells nothing about the patient."""
    return "series-" + hashlib.sha256(series_uid.encode()).hexdigest()[:12]


def _has_marker(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _starts_with_meta(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x02\x00"
