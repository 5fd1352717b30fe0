"""What our DICOM objects say, read again: the mask of a SEG, the numbers of a report."""

from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from amd_das.errors import GeometryError, NotFoundError, UnreadableError
from amd_das.output.dicom.codes import HEMORRHAGE
from amd_das.output.dicom.source import load_source
from amd_das.volume import Volume

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_TOLERANCE_MM: Final = 0.11
"""Positions may be written with one decimal, and slices lie on a fitted line."""


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
    try:
        frames = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        numbers = [
            int(_macro(group, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber) for group in groups
        ]
    except (AttributeError, KeyError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise UnreadableError(f"the SEG is damaged ({error}); export it again") from error
    mask = np.zeros(volume.shape, np.uint8)
    for frame, group, number in zip(frames, groups, numbers, strict=True):
        if number in wanted:
            mask[:, :, _slice_of(group, shared, dataset, volume)] |= (frame != 0).T
    return mask


def _hemorrhage_segments(dataset: Dataset) -> set[int]:
    found = {}
    for segment in dataset.get("SegmentSequence") or []:
        code = (segment.get("SegmentedPropertyTypeCodeSequence") or [Dataset()])[0]
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
    origins = volume.affine[:3, 3] + np.arange(volume.shape[2])[:, None] * volume.affine[:3, 2]
    distances = np.linalg.norm(origins - _LPS_TO_RAS @ position, axis=1)
    index = int(distances.argmin())
    extent = np.abs((along - volume.affine[:3, :2]) * [columns, rows]).max()
    allowed = max(_TOLERANCE_MM, 0.02 * float(volume.spacing[2]))
    if (int(dataset.Rows), int(dataset.Columns)) != (rows, columns) or extent > 1.0 or distances[index] > allowed:
        raise GeometryError(
            f"the SEG lies on another grid than the CT: frames of {dataset.Rows} × {dataset.Columns} pixels, "
            f"{distances[index]:.2f} mm from the nearest slice; expected {rows} × {columns} on the CT's own slices. "
            "Give the CT it was drawn on."
        )
    return index
