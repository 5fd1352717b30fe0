"""The CT a result belongs to, as our DICOM objects need it: whose it is, which images, where they lie."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.errors import GeometryError, InputError, UnreadableError
from amd_das.output.dicom.header import REQUIRED_KEYWORDS, acquired, patient_and_study
from amd_das.reading.config import ReadingConfig
from amd_das.reading.dicom_files import CT_CLASSES, sop_class, text
from amd_das.reading.dicom_pixels import frame_shape
from amd_das.reading.dicom_planes import Plane, planes_of
from amd_das.volume import SliceSource, Volume

_CHANGED: Final = "{} has changed since it was read, so a result would be of another scan; read the series again"


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceImage:
    """The image one slice of a volume came from."""

    sop_class: str
    sop_uid: str

    frame: int | None
    """Number in a multi-frame image, counted from 1; None in a file of one image."""

    position: np.ndarray
    """(3,) LPS mm, centre of the first pixel."""

    orientation: np.ndarray
    """(2, 3) unit vectors along a row and along a column, LPS."""

    plane: Plane


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A CT series in the order of a volume's slices."""

    header: Dataset
    """Patient and study: as :func:`patient_and_study` gives them."""

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    ct_date: str
    """YYYYMMDD, of the images where they say so, of the study otherwise; empty if unknown."""

    ct_time: str
    """HHMMSS, likewise."""

    slice_spacing_mm: float
    """Between neighbouring slices, along their normal."""

    lossy: tuple[str, str] | None
    """Ratio and method where the CT was compressed with loss."""

    images: tuple[SourceImage, ...]
    """One for each index of the volume's last axis."""

    def stand_in(self, image: SourceImage) -> Dataset:
        """A classic CT header for an image, without anything about the patient: what highdicom refers to and copies."""
        dataset = Dataset()
        for keyword in REQUIRED_KEYWORDS:
            setattr(dataset, keyword, None)
        plane = image.plane
        dataset.SOPClassUID, dataset.SOPInstanceUID = image.sop_class, image.sop_uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, self.series_uid
        dataset.FrameOfReferenceUID = self.frame_of_reference_uid
        dataset.Modality = "CT"
        dataset.Rows, dataset.Columns = plane.shape
        dataset.PixelSpacing = list(plane.spacing)
        dataset.SliceThickness = plane.thickness or self.slice_spacing_mm
        if len(self.images) > 1:
            dataset.SpacingBetweenSlices = self.slice_spacing_mm
        dataset.ImageOrientationPatient = image.orientation.ravel().tolist()
        dataset.ImagePositionPatient = image.position.tolist()
        if self.lossy:
            dataset.LossyImageCompression = "01"
            dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = self.lossy
        return dataset


def load_source(volume: Volume) -> Source:
    """Read the headers a volume's slices came from.

    Raises:
        InputError: the volume does not come from DICOM.
        UnreadableError: a file is gone or broken, or lacks an identifier that cannot be made up.
        GeometryError: the slices belong to different studies, patients or frames of reference, or do not say where
            they lie.
    """
    if not volume.slice_sources:
        raise InputError(
            f"{volume.case_id} is not from DICOM ({volume.source}), so there is no study its DICOM results could "
            "belong to; give the DICOM series, or ask for nii.gz or nrrd"
        )
    headers = {path: _read(path) for path in dict.fromkeys(one.path for one in volume.slice_sources)}
    names = {path: path.name for path in headers}
    planes = {path: planes_of(head, frame_shape(head, names[path])[0], names[path]) for path, head in headers.items()}
    uids = {path: _identifier(head, "SOPInstanceUID", names[path]) for path, head in headers.items()}
    if len(set(uids.values())) < len(uids):
        raise UnreadableError("two files of the series bear the same SOPInstanceUID; export the original CT series")
    images = tuple(
        _source_image(headers[one.path], planes[one.path][one.frame : one.frame + 1], uids[one.path], one)
        for one in volume.slice_sources
    )
    _check_unchanged(volume, images)
    first = headers[volume.slice_sources[0].path]

    def shared(keyword: str) -> str:
        return _the_same(keyword, (_identifier(head, keyword, names[path]) for path, head in headers.items()))

    _the_same("PatientID", (text(head, "PatientID", names[path]) for path, head in headers.items()))
    normal = np.cross(*images[0].orientation)
    date, time = acquired(first)
    return Source(
        header=patient_and_study(first),
        study_uid=shared("StudyInstanceUID"),
        series_uid=shared("SeriesInstanceUID"),
        frame_of_reference_uid=shared("FrameOfReferenceUID"),
        ct_date=date,
        ct_time=time,
        slice_spacing_mm=round(abs(float(normal @ (volume.affine[:3, 2] * [-1, -1, 1]))), 6),
        lossy=_lossy(first),
        images=images,
    )


def _source_image(header: Dataset, planes: Sequence[Plane], uid: str, one: SliceSource) -> SourceImage:
    """``planes`` holds the plane of this slice, or nothing where the file has changed."""
    if not planes:
        raise UnreadableError(_CHANGED.format(one.path.name))
    (plane,) = planes
    if plane.position is None or plane.orientation is None:
        raise GeometryError(
            f"{plane.name}: ImagePositionPatient or ImageOrientationPatient is missing, so a result cannot be "
            "placed in the patient; export the original CT, or ask for nii.gz or nrrd"
        )
    kind = sop_class(header, one.path.name)
    return SourceImage(
        sop_class=kind if kind in CT_CLASSES else CT_CLASSES[0],
        sop_uid=uid,
        frame=one.frame + 1 if "PerFrameFunctionalGroupsSequence" in header else None,
        position=plane.position,
        orientation=plane.orientation,
        plane=plane,
    )


def off_grid_mm(position: np.ndarray, volume: Volume) -> np.ndarray:
    """(K,) distances of an LPS position from the first pixel of each slice."""
    origins = volume.affine[:3, 3] + np.arange(volume.shape[2])[:, None] * volume.affine[:3, 2]
    distances: np.ndarray = np.linalg.norm(origins - position * [-1, -1, 1], axis=1)
    return distances


def tolerance_mm(volume: Volume) -> float:
    """How far a slice may lie from its place on the grid: reading fits a line through positions that are rounded."""
    return max(0.11, 3 * ReadingConfig().step_tolerance * float(volume.spacing[2]))


def _check_unchanged(volume: Volume, images: Sequence[SourceImage]) -> None:
    """Raise UnreadableError if a file is another than when the volume was read."""
    for index, (image, one) in enumerate(zip(images, volume.slice_sources, strict=True)):
        moved = len(images) > 1 and off_grid_mm(image.position, volume)[index] > tolerance_mm(volume)
        if moved or image.plane.shape != volume.shape[1::-1]:
            raise UnreadableError(_CHANGED.format(one.path.name))


def _read(path: Path) -> Dataset:
    try:
        return dcmread(path, force=True, stop_before_pixels=True)
    except Exception as error:  # gone since it was read, or whatever pydicom raises for a broken file
        raise UnreadableError(
            f"{path.name} cannot be read again ({type(error).__name__}); its DICOM results need it, keep it in place"
        ) from error


def _identifier(dataset: Dataset, keyword: str, name: str) -> str:
    found = text(dataset, keyword, name)
    if not re.fullmatch(r"[0-9.]{1,64}", found):
        raise UnreadableError(
            f"{name}: {keyword} is {'missing' if not found else 'not a UID'}, so a DICOM result cannot refer to the "
            "image; export the original CT series, or ask for nii.gz or nrrd"
        )
    return found


def _the_same(keyword: str, values: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        raise GeometryError(
            f"the slices of the series differ in {keyword} ({len(distinct)} values), expected one; "
            "give the files of one scan of one patient"
        )
    return distinct[0]


def _lossy(first: Dataset) -> tuple[str, str] | None:
    if text(first, "LossyImageCompression", "") != "01":
        return None
    ratio, method = (text(first, f"LossyImageCompression{name}", "") for name in ("Ratio", "Method"))
    return ratio or "1", method or "ISO_10918_1"
