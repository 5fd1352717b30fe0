"""Where the slices of a DICOM file lie in the patient, for classic and enhanced CT."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from amd_das.errors import GeometryError, UnreadableError
from amd_das.reading.dicom_files import number, numbers
from amd_das.reading.dicom_pixels import frame_shape


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Where one slice lies, in DICOM's patient coordinates (LPS, mm)."""

    name: str
    shape: tuple[int, int]
    spacing: tuple[float, float]
    """PixelSpacing: between rows, between columns."""

    orientation: np.ndarray | None
    """(2, 3) unit vectors along a row and along a column."""

    position: np.ndarray | None
    """(3,) centre of the first pixel."""

    thickness: float | None
    slope: float
    intercept: float


def planes_of(dataset: Dataset, frames: int, name: str) -> list[Plane]:
    """One plane a frame; raises UnreadableError or GeometryError for tags that are missing or impossible."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        if frames > 1:
            raise UnreadableError(
                f"{name} holds {frames} frames without a position for each; export them as enhanced CT or one by one"
            )
        return [_plane(dataset, name)]
    try:
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        flat = [_flattened([dataset, *shared, group]) for group in groups]
    except Exception as error:  # lazily parsed, see open_dicom
        raise UnreadableError(f"{name}: the frames' positions are damaged ({error}); export it again") from error
    if len(flat) != frames:
        raise UnreadableError(f"{name} has {frames} frames but the positions of {len(flat)}; export it again")
    return [_plane(frame, f"{name}, frame {index + 1}") for index, frame in enumerate(flat)]


def _flattened(levels: Sequence[Dataset]) -> Dataset:
    """The tags of an enhanced CT's frame as a classic slice has them: per-frame before shared before top level."""
    flat = Dataset()
    for keyword in ("Rows", "Columns"):
        setattr(flat, keyword, levels[0].get(keyword))
    for group in levels[1:]:
        for element in group:
            if element.VR == "SQ" and len(element.value):
                flat.update(element.value[0])
    return flat


def _plane(dataset: Dataset, name: str) -> Plane:
    _, rows, columns = frame_shape(dataset, name)
    spacing = numbers(dataset, "PixelSpacing", 2, name)
    if spacing is None:
        raise UnreadableError(f"{name}: PixelSpacing is missing, so nothing could be measured; export the original CT")
    if (spacing <= 0).any():
        raise GeometryError(f"{name}: PixelSpacing is {spacing.tolist()} mm, expected positive numbers; export again")
    slope, intercept = number(dataset, "RescaleSlope", name), number(dataset, "RescaleIntercept", name)
    if not slope or intercept is None:
        raise UnreadableError(
            f"{name}: RescaleSlope is {slope} and RescaleIntercept {intercept}, so its values cannot be turned into "
            "HU; export the original CT"
        )
    thickness = number(dataset, "SliceThickness", name)
    return Plane(
        name=name,
        shape=(rows, columns),
        spacing=(float(spacing[0]), float(spacing[1])),
        orientation=_orientation(dataset, name),
        position=numbers(dataset, "ImagePositionPatient", 3, name),
        thickness=thickness if thickness and thickness > 0 else None,
        slope=slope,
        intercept=intercept,
    )


def _orientation(dataset: Dataset, name: str) -> np.ndarray | None:
    cosines = numbers(dataset, "ImageOrientationPatient", 6, name)
    if cosines is None:
        return None
    axes = cosines.reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if (np.abs(lengths - 1) > 0.01).any() or abs(float(axes[0] @ axes[1])) > 0.01:
        raise GeometryError(
            f"{name}: ImageOrientationPatient {cosines.tolist()} is not two perpendicular unit vectors; export it again"
        )
    return axes / lengths[:, None]
