"""A DICOM series, one slice of it, or an enhanced multi-frame CT: sorted, checked and rescaled to HU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from amd_das.errors import GeometryError, NotHeadCtError
from amd_das.reading.checks import AIR_HU, check_affine, check_file_size, check_shape, check_values, file_case_id
from amd_das.reading.config import ReadingConfig
from amd_das.reading.dicom_files import (
    CT_CLASSES,
    number,
    open_dicom,
    reason_to_leave_out,
    series_case_id,
    sop_class,
    text,
)
from amd_das.reading.dicom_pixels import as_stored, frame_shape, stored_values
from amd_das.reading.dicom_planes import Plane, planes_of
from amd_das.volume import SliceSource, Volume

ASSUMED_THICKNESS_MM: Final = 5.0
"""Thickness of a lone slice that does not give its own (ours: the usual one of a head CT)."""

_SMALLEST_STEP_MM: Final = 0.01
_ROUNDING_MM: Final = 0.1001
"""Positions are written with one decimal by some scanners, so a step may be off by 0.1 mm."""

_CT_SCALE_HU: Final = (AIR_HU, 3071.0)

WRAPPED_HU: Final = 3096.0
"""From here on a 12-bit unsigned pixel without an intercept is a negative HU that wrapped around: -1000 became 3096.
Known of RSNA's set, where users undo it so."""

_LEAST_WRAPPED = 0.05  # of the pixels: the air around a head; metal is far less (ours)
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_dicom(files: Sequence[Path], config: ReadingConfig) -> Volume:
    """The slices of one CT series in HU; axes (column, row, slice), slices along the normal of the image plane.

    An evenly shifted stack (gantry tilt) gives a sheared affine. A lone slice is a volume of depth 1, and may lack
    position, orientation and thickness, with a warning for each.

    Raises:
        NotHeadCtError: another modality, colour, or nothing but localizers and the like.
        GeometryError: slices missing, duplicate, unevenly spaced, or of different size or orientation.
        UnreadableError, TooLargeError: broken files or tags; over the limits.
    """
    label = files[0].name if len(files) == 1 else f"the series of {len(files)} DICOM files"
    check_file_size(files, label, config)
    planes: list[Plane] = []
    sources: list[SliceSource] = []
    stacks: list[np.ndarray] = []
    series: set[str] = set()
    claimed = 0
    for path in files:
        dataset = open_dicom(path, pixels=True)
        _check_kind(dataset, path.name)
        frames, rows, columns = frame_shape(dataset, path.name)
        claimed += frames
        if rows * columns * claimed > config.max_voxels or min(rows, columns) < 2:
            check_shape((columns, rows, claimed), label, config)
        series.add(text(dataset, "SeriesInstanceUID", path.name))
        found = planes_of(dataset, frames, path.name)
        planes += found
        sources += [SliceSource(path=path, frame=frame) for frame in range(frames)]
        stacks += _hounsfield(dataset, found, path.name)
    if len(series) > 1:
        raise GeometryError(f"{label} mixes {len(series)} series; give the files of one series only")
    order, affine, warnings = _geometry(planes, label, config)
    array = np.stack([stacks[index] for index in order]).T
    check_shape(array.shape, label, config)
    uid = series.pop()
    return Volume(
        array=check_values(array, label),
        affine=check_affine(affine, label),
        case_id=series_case_id(uid) if uid else file_case_id(files[0]),
        source="dicom",
        warnings=warnings,
        slice_sources=tuple(sources[index] for index in order),
    )


def _check_kind(dataset: Dataset, name: str) -> None:
    """Raises NotHeadCtError unless the file holds CT slices."""
    reason = reason_to_leave_out(dataset, name)
    if reason:
        raise NotHeadCtError(f"{name} is a {reason}, not a CT slice; give the axial CT series")
    modality = text(dataset, "Modality", name).upper()
    if modality != "CT" and (modality or sop_class(dataset, name) not in CT_CLASSES):
        raise NotHeadCtError(f"{name} has modality {modality or 'unknown'!r}, expected CT; give a head CT series")


def _hounsfield(dataset: Dataset, planes: Sequence[Plane], name: str) -> list[np.ndarray]:
    """(rows, columns) float32 HU a frame; pixels marked as padding become air."""
    padding = number(dataset, "PixelPaddingValue", name)
    slices = []
    for plane, stored in zip(planes, stored_values(dataset, name), strict=True):
        hu = stored.astype(np.float32) * np.float32(plane.slope) + np.float32(plane.intercept)
        if padding is not None:
            marked = as_stored(padding, dataset, name)
            low, high = _CT_SCALE_HU
            if not low <= marked * plane.slope + plane.intercept <= high:  # a padding of, say, 0 HU is a broken tag
                hu[stored == marked] = AIR_HU
        if _has_wrapped(hu, plane, dataset, name):
            hu[hu >= WRAPPED_HU] -= 4096.0
        slices.append(hu)
    return slices


def _has_wrapped(hu: np.ndarray, plane: Plane, dataset: Dataset, name: str) -> bool:
    """Whether what should be air lies at the top of an unsigned 12-bit scale that has no place for it."""
    if plane.intercept <= -100 or plane.slope != 1 or number(dataset, "PixelRepresentation", name) not in (None, 0):
        return False
    return number(dataset, "BitsStored", name) == 12 and float(np.mean(hu >= WRAPPED_HU)) >= _LEAST_WRAPPED


def _geometry(
    planes: Sequence[Plane], label: str, config: ReadingConfig
) -> tuple[list[int], np.ndarray, tuple[str, ...]]:
    """The order of the slices, the (4, 4) affine to RAS mm of (column, row, slice), warnings."""
    first = planes[0]
    if len(planes) == 1:
        return [0], *_lone_slice(first)
    orientations, positions = [], []
    for plane in planes:
        if plane.position is None or plane.orientation is None:
            raise GeometryError(
                f"{plane.name}: ImagePositionPatient or ImageOrientationPatient is missing, so the slices cannot be "
                "put in order; export the original CT series"
            )
        if plane.shape != first.shape or not np.allclose(plane.spacing, first.spacing, rtol=1e-3):
            raise GeometryError(
                f"{label} mixes slices of {_size(first)} and {_size(plane)}; give the files of one series only"
            )
        orientations.append(plane.orientation)
        positions.append(plane.position)
        if not np.allclose(plane.orientation, orientations[0], atol=5e-3):
            raise GeometryError(
                f"{label} mixes slices of different orientation ({first.name} and {plane.name}); "
                "give the files of one series only"
            )
    orientation = np.mean(orientations, axis=0)
    along = np.array(positions) @ np.cross(*orientation)
    order = np.argsort(along, kind="stable")
    typical = _check_steps(along[order], [planes[index].name for index in order], label, config)
    sorted_positions = np.array(positions)[order]
    origin = sorted_positions[0]
    step = (sorted_positions[-1] - origin) / (len(planes) - 1)
    line = origin + np.arange(len(planes))[:, None] * step
    off = float(np.linalg.norm(sorted_positions - line, axis=1).max())
    allowed = max(2 * config.step_tolerance * typical, _ROUNDING_MM)
    if off > allowed:
        raise GeometryError(
            f"{label}: the slices do not lie on one line, one is {off:.2f} mm off (at most {allowed:.2f} mm is "
            "accepted); export one series that was not moved or tilted half-way"
        )
    warnings: tuple[str, ...] = ()
    if first.thickness and typical > 1.5 * first.thickness:
        warnings = (
            f"slices lie {typical:.2f} mm apart but are {first.thickness:.2f} mm thick: what lies between is estimated",
        )
    return [int(index) for index in order], _affine(first, orientation, step, origin), warnings


def _check_steps(along: np.ndarray, names: Sequence[str], label: str, config: ReadingConfig) -> float:
    """Sorted positions along the normal in mm → the usual step; raises GeometryError naming the first bad one."""
    steps = np.diff(along)
    same = np.flatnonzero(steps < _SMALLEST_STEP_MM)
    if same.size:
        at = int(same[0])
        raise GeometryError(
            f"{label} has duplicate slices: {same.size} share their position with another, first {names[at]} and "
            f"{names[at + 1]} at {along[at]:.2f} mm. Give one image a position (no second copy, phase or kernel)."
        )
    typical = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - typical) > max(config.step_tolerance * typical, _ROUNDING_MM))
    if uneven.size:
        at = int(uneven[np.argmax(steps[uneven])])
        missing = round(float(steps[at]) / typical) - 1
        whole_steps = abs(steps[at] - (missing + 1) * typical) <= max(config.step_tolerance * typical, _ROUNDING_MM)
        where = (
            f"{steps[at]:.2f} mm between slices {at + 1} and {at + 2} (at {along[at]:.2f} and {along[at + 1]:.2f} mm), "
            f"elsewhere {typical:.2f} mm"
        )
        if missing > 0 and whole_steps:
            raise GeometryError(f"{label} lacks slices: {missing} seem(s) to be missing, {where}. Export all of it.")
        raise GeometryError(
            f"{label} is unevenly spaced: {where}, {uneven.size} of {steps.size} steps differ. "
            "Give a series with one slice distance (a reconstruction, or one part of it)."
        )
    return typical


def _lone_slice(plane: Plane) -> tuple[np.ndarray, tuple[str, ...]]:
    """Affine and warnings of a volume of depth 1."""
    warnings = []
    orientation, position, thickness = plane.orientation, plane.position, plane.thickness
    if orientation is None or position is None:
        warnings.append("the slice does not say how it lies in the patient: an upright axial slice is assumed")
        orientation = np.eye(3)[:2] if orientation is None else orientation
        position = np.zeros(3) if position is None else position
    if thickness is None:
        warnings.append(
            f"the slice gives no thickness: {ASSUMED_THICKNESS_MM:g} mm are assumed, volumes in mL depend on it"
        )
        thickness = ASSUMED_THICKNESS_MM
    return _affine(plane, orientation, np.cross(*orientation) * thickness, position), tuple(warnings)


def _affine(plane: Plane, orientation: np.ndarray, step: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Voxel (column, row, slice) to RAS mm; DICOM PS3.3 C.7.6.2.1.1, then LPS to RAS."""
    between_rows, between_columns = plane.spacing
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([orientation[0] * between_columns, orientation[1] * between_rows, step])
    affine[:3, 3] = origin
    return _LPS_TO_RAS @ affine


def _size(plane: Plane) -> str:
    rows, columns = plane.shape
    return f"{rows} × {columns} pixels of {plane.spacing[0]:.3f} × {plane.spacing[1]:.3f} mm"
