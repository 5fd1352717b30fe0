"""What our DICOM objects say, read again: the mask of a SEG, the numbers of a report."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from amd_das.errors import GeometryError, NotFoundError, UnreadableError
from amd_das.output.dicom import codes
from amd_das.output.dicom.codes import HEMORRHAGE
from amd_das.output.dicom.source import load_source, off_grid_mm, tolerance_mm
from amd_das.volume import Volume

COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report of ours says, without anything about the patient."""

    study_uid: str

    series_uid: str
    """Of the CT."""

    volume_ml: float
    n_lesions: int

    model_version: str
    """Of the software where no model was at work."""

    ct_datetime: str | None
    """YYYYMMDDHHMMSS of the CT; YYYYMMDD where its time is unknown, None without a date."""


def read_report(dataset: Dataset) -> Report | None:
    """The numbers of an SR of ours; None if it is not one of ours, or not complete."""
    if dataset.get("SOPClassUID") != COMPREHENSIVE_3D_SR or dataset.get("Manufacturer") != codes.MANUFACTURER:
        return None
    for group in _items(dataset):
        found = {_name(item): item for item in group.get("ContentSequence") or []}
        try:
            date, time = (found.get(_key(code)) for code in (codes.ACQUISITION_DATE, codes.ACQUISITION_TIME))
            return Report(
                study_uid=str(dataset.StudyInstanceUID),
                series_uid=str(found[_key(codes.SERIES_UID)].UID),
                volume_ml=_numeric(found[_key(codes.VOLUME)]),
                n_lesions=int(_numeric(found[_key(codes.NUMBER_OF_LESIONS)])),
                model_version=str(found[_key(codes.ALGORITHM_VERSION)].TextValue),
                ct_datetime=(str(date.Date) + (str(time.Time)[:6] if time else "")) if date else None,
            )
        except (KeyError, AttributeError, ValueError, TypeError, IndexError):
            continue  # another group, or one that is damaged
    return None


def _items(item: Dataset) -> Iterator[Dataset]:
    """All content items below one."""
    for below in item.get("ContentSequence") or []:
        yield below
        yield from _items(below)


def _key(code: Code) -> tuple[str, str]:
    return str(code.value), str(code.scheme_designator)


def _name(item: Dataset) -> tuple[str, str]:
    """Code and scheme of a content item's name, empty where it has none."""
    concept = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
    return str(concept.get("CodeValue", "")), str(concept.get("CodingSchemeDesignator", ""))


def _numeric(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def read_segmentation(dataset: Dataset, volume: Volume) -> np.ndarray:
    """The hemorrhage of a SEG on the grid of its CT.

    Frames are placed by their position, so any writer's SEG will do that kept the slices' own grid; slices without
    a frame are empty.

    Args:
        dataset: a SEG with BINARY segments, coded as hemorrhage.
        volume: the CT it was drawn on.

    Returns:
        (I, J, K) uint8, 1 where hemorrhage.

    Raises:
        UnreadableError: no such SEG, or its pixels cannot be decoded.
        NotFoundError: none of its segments is coded as hemorrhage.
        GeometryError: it lies on another grid or in another frame of reference.
    """
    if dataset.get("SOPClassUID") != SEGMENTATION or dataset.get("SegmentationType") != "BINARY":
        raise UnreadableError(
            f"expected a DICOM SEG with BINARY segments, got {dataset.get('Modality')!r} of type "
            f"{dataset.get('SegmentationType')!r}; export the segmentation as binary SEG"
        )
    if volume.slice_sources:
        expected = load_source(volume).frame_of_reference_uid
        if dataset.get("FrameOfReferenceUID") != expected:
            raise GeometryError("the SEG lies in another frame of reference than the CT; give the CT it was drawn on")
    wanted = _hemorrhage_segments(dataset)
    frames = _frames(dataset)
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if len(groups) != len(frames):
        raise UnreadableError(
            f"the SEG is damaged: it describes {len(groups)} frames and has pixels of {len(frames)}; export it again"
        )
    numbers = [_segment_of(group, shared) for group in groups]
    mask = np.zeros(volume.shape, np.uint8)
    for frame, group, number in zip(frames, groups, numbers, strict=True):
        if number in wanted:
            mask[:, :, _slice_of(group, shared, dataset, volume)] |= (frame != 0).T
    return mask


def _frames(dataset: Dataset) -> np.ndarray:
    """(N, rows, columns) pixels."""
    try:
        pixels = dataset.pixel_array
    except (AttributeError, KeyError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:  # of pydicom
        raise UnreadableError(f"the pixels of the SEG cannot be decoded ({error}); export it again") from error
    return pixels.reshape(-1, *pixels.shape[-2:])


def _segment_of(group: Dataset, shared: list[Dataset]) -> int:
    """Number of the segment that a frame belongs to."""
    try:
        return int(_macro(group, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"a frame of the SEG does not say its segment ({error}); export it again") from error


def _hemorrhage_segments(dataset: Dataset) -> set[int]:
    found = {}
    for segment in dataset.get("SegmentSequence") or []:
        code = (segment.get("SegmentedPropertyTypeCodeSequence") or [Dataset()])[0]
        if segment.get("SegmentNumber") is None:
            raise UnreadableError("a segment of the SEG has no number; export it again")
        found[int(segment.SegmentNumber)] = code.get("CodeValue") == HEMORRHAGE.value
    wanted = {number for number, is_hemorrhage in found.items() if is_hemorrhage}
    if not wanted:
        raise NotFoundError(
            f"none of the {len(found)} segments of the SEG is coded as hemorrhage (SCT {HEMORRHAGE.value}); "
            "give a segmentation of hemorrhage"
        )
    return wanted


def _macro(group: Dataset, shared: list[Dataset], keyword: str) -> Dataset:
    """The first item of a functional group, per frame before shared."""
    for level in (group, *shared):
        if level.get(keyword):
            return level[keyword].value[0]
    raise KeyError(keyword)


def _slice_of(group: Dataset, shared: list[Dataset], dataset: Dataset, volume: Volume) -> int:
    """Which slice of the volume a frame covers, pixel by pixel."""
    try:
        position = np.array(_macro(group, shared, "PlanePositionSequence").ImagePositionPatient, np.float64)
        axes = np.array(_macro(group, shared, "PlaneOrientationSequence").ImageOrientationPatient, np.float64)
        spacing = np.array(_macro(group, shared, "PixelMeasuresSequence").PixelSpacing, np.float64)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise GeometryError(f"a frame of the SEG does not say where it lies ({error}); export it again") from error
    columns, rows, _ = volume.shape
    along = (_LPS_TO_RAS @ axes.reshape(2, 3).T) * spacing[::-1]
    distances = off_grid_mm(position, volume)
    index = int(distances.argmin())
    extent = np.abs((along - volume.affine[:3, :2]) * [columns, rows]).max()
    allowed = tolerance_mm(volume)
    if (int(dataset.Rows), int(dataset.Columns)) != (rows, columns) or extent > 1.0 or distances[index] > allowed:
        raise GeometryError(
            f"the SEG lies on another grid than the CT: frames of {dataset.Rows} × {dataset.Columns} pixels, "
            f"{distances[index]:.2f} mm from the nearest slice; expected {rows} × {columns} on the CT's own slices. "
            "Give the CT it was drawn on."
        )
    return index
