"""The CT a result belongs to, as our DICOM objects need it: whose it is, which images, where they lie."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from amd_das.errors import GeometryError, InputError, UnreadableError
from amd_das.reading.dicom_files import CT_CLASSES, sop_class, text, value
from amd_das.reading.dicom_pixels import frame_shape
from amd_das.reading.dicom_planes import Plane, planes_of
from amd_das.volume import Volume

REQUIRED_KEYWORDS: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
"""Of the patient and the study; present in every object, if need be empty (type 2)."""

COPIED_KEYWORDS: Final = (
    *REQUIRED_KEYWORDS,
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
"""What is taken over from the CT where it has it."""


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
    """Patient and study: :data:`COPIED_KEYWORDS`, as text."""

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
    images = []
    for one in volume.slice_sources:
        head, plane = headers[one.path], planes[one.path][one.frame]
        if plane.position is None or plane.orientation is None:
            raise GeometryError(
                f"{plane.name}: ImagePositionPatient or ImageOrientationPatient is missing, so a result cannot be "
                "placed in the patient; export the original CT, or ask for nii.gz or nrrd"
            )
        kind = sop_class(head, names[one.path])
        images.append(
            SourceImage(
                sop_class=kind if kind in CT_CLASSES else CT_CLASSES[0],
                sop_uid=uids[one.path],
                frame=one.frame + 1 if "NumberOfFrames" in head else None,
                position=plane.position,
                orientation=plane.orientation,
                plane=plane,
            )
        )
    first = headers[volume.slice_sources[0].path]

    def shared(keyword: str) -> str:
        return _the_same(keyword, ((_identifier(head, keyword, names[path])) for path, head in headers.items()))

    _the_same("PatientID", (text(head, "PatientID", names[path]) for path, head in headers.items()))
    normal = np.cross(*images[0].orientation)
    date, time = _acquired(first)
    return Source(
        header=_patient_and_study(first),
        study_uid=shared("StudyInstanceUID"),
        series_uid=shared("SeriesInstanceUID"),
        frame_of_reference_uid=shared("FrameOfReferenceUID"),
        ct_date=date,
        ct_time=time,
        slice_spacing_mm=round(abs(float(normal @ (volume.affine[:3, 2] * [-1, -1, 1]))), 6),
        lossy=_lossy(first),
        images=tuple(images),
    )


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


def _patient_and_study(first: Dataset) -> Dataset:
    """The tags that can be taken over; what is impossible (a sex of "X", a date of "unknown") becomes empty."""
    checks: dict[str, Callable[[str], object]] = {
        "PatientBirthDate": _date,
        "StudyDate": _date,
        "StudyTime": _time,
        "PatientSex": lambda sex: sex if sex in ("M", "F", "O") else "",
        "PatientAge": lambda age: age if re.fullmatch(r"\d{3}[DWMY]", age) else "",
        "PatientIdentityRemoved": lambda flag: flag if flag in ("YES", "NO") else "",
    }
    header = Dataset()
    for keyword in COPIED_KEYWORDS:
        try:
            found = value(first, keyword, "")
            content: Any = found if found is None or isinstance(found, int | float) else text(first, keyword, "")
            if keyword in checks and content is not None:
                content = checks[keyword](str(content))
        except InputError:
            content = None
        if content or keyword in REQUIRED_KEYWORDS:
            setattr(header, keyword, content or None)
    return header


def _acquired(first: Dataset) -> tuple[str, str]:
    """(YYYYMMDD, HHMMSS) of the scan, each empty if unknown."""
    for kind in ("Acquisition", "Content", "Series", "Study"):
        try:
            date = _date(text(first, f"{kind}Date", ""))
            time = _time(text(first, f"{kind}Time", ""))
        except InputError:
            continue
        if date:
            return date, time.partition(".")[0]
    return "", ""


def _date(found: str) -> str:
    try:
        return found if re.fullmatch(r"\d{8}", found) and DA(found) else ""
    except ValueError:
        return ""


def _time(found: str) -> str:
    try:
        return found if re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", found) and TM(found) else ""
    except ValueError:
        return ""


def _lossy(first: Dataset) -> tuple[str, str] | None:
    if text(first, "LossyImageCompression", "") != "01":
        return None
    return text(first, "LossyImageCompressionRatio", "") or "1", text(
        first, "LossyImageCompressionMethod", ""
    ) or "ISO_10918_1"
