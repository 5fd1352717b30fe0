"""Write phantom cases as NIfTI or as DICOM series, their masks beside them."""

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, Literal

import nibabel
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from amd_das.errors import ConfigError
from amd_das.files import write_whole
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.ct import make_ct, make_training_ct
from amd_das.phantom.flair import make_flair, make_training_flair
from amd_das.processes import in_order
from amd_das.volume import Volume

Kind = Literal["ct", "flair"]
Format = Literal["nifti", "dicom"]
KINDS: Final[tuple[Kind, ...]] = ("ct", "flair")
FORMATS: Final[tuple[Format, ...]] = ("nifti", "dicom")
_DATE: Final = "20200101"  # phantoms have no history; a fixed date keeps their bytes the same


def write_cases(
    *,
    count: int,
    kind: Kind,
    format: Format,
    seed: int,
    directory: Path,
    matrix: int = 512,
    for_training: bool = False,
    resume: bool = False,
    processes: int | None = None,
    after: Callable[[int], None] | None = None,
) -> list[Path]:
    """Render the seeds ``seed … seed + count - 1``; returns what was written under ``directory/images``, in that order.

    ``images/<case>.nii.gz`` or ``images/<case>/0001.dcm …``; ``masks/<case>-<lesion kind>.nii.gz`` on the same grid
    (only kinds that are there, and always "iph" or "glioma"); ``records/<case>.json`` says what was drawn.
    ``matrix`` is the CT's pixels along a side; ``for_training`` makes cases of fewer slices (see `make_training_ct`
    and `make_training_flair`); ``resume`` leaves finished cases as they are; ``processes`` None means one for each
    processor; ``after`` is told the number of cases done, after each and a few times a second, and may raise to stop.

    Raises:
        ConfigError: an unknown kind or format, or a count below one.
        ProcessLostError: a process was ended from outside; ``resume`` goes on.
    """
    if kind not in KINDS or format not in FORMATS or count < 1 or seed < 0:
        raise ConfigError(
            f"kind {kind!r}, format {format!r}, count {count}, seed {seed}: expected kind one of {KINDS}, "
            f"format one of {FORMATS}, a count of at least 1 and a seed of at least 0"
        )
    render = _renderer(kind, matrix, for_training=for_training)
    one = partial(_write_case, render=render, kind=kind, format=format, directory=directory, resume=resume)
    tell = after or (lambda done: None)
    gathered: list[Path] = []
    with closing(in_order(one, range(seed, seed + count), processes, tell)) as paths:
        for path in paths:
            gathered.append(path)
            tell(len(gathered))
    return gathered


def _renderer(kind: Kind, matrix: int, *, for_training: bool) -> Callable[[int], PhantomCase]:
    if kind == "ct":
        return make_training_ct if for_training else partial(make_ct, matrix=matrix)
    return make_training_flair if for_training else make_flair


def _write_case(
    seed: int,
    *,
    render: Callable[[int], PhantomCase],
    kind: Kind,
    format: Format,
    directory: Path,
    resume: bool,
) -> Path:
    name = f"phantom-{kind}-{seed:04d}"
    path = directory / "images" / (f"{name}.nii.gz" if format == "nifti" else name)
    record = directory / "records" / f"{name}.json"
    if resume and record.exists():
        return path
    case = render(seed)
    for folder in (path.parent, directory / "masks", record.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for lesion, mask in case.masks.items():
        if mask.any() or lesion in ("iph", "glioma"):
            nibabel.save(nibabel.Nifti1Image(mask, case.volume.affine), directory / "masks" / f"{name}-{lesion}.nii.gz")
    if format == "nifti":
        image = nibabel.Nifti1Image(case.volume.array.astype(np.int16), case.volume.affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, path)
    else:
        path.mkdir(exist_ok=True)
        for number, dataset in enumerate(dicom_slices(case, modality="CT" if kind == "ct" else "MR"), start=1):
            dataset.save_as(path / f"{number:04d}.dcm", write_like_original=False)
    write_whole(record, (json.dumps({"seed": seed, **case.record}, indent=2) + "\n").encode())  # last: all is there
    return path


def _digits(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters, as DICOM's DS wants them."""
    return [f"{value:.9f}"[:16].rstrip("0").rstrip(".") or "0" for value in values]


def dicom_slices(case: PhantomCase, *, modality: Literal["CT", "MR"]) -> list[FileDataset]:
    """The case as single-frame CT or MR images, one data set a slice; UIDs follow from the case's name."""
    volume: Volume = case.volume
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = volume.spacing
    orientation = [*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])]
    normal = np.cross(orientation[:3], orientation[3:])
    scanner = case.record.get("scanner", {})
    scanner = scanner if isinstance(scanner, dict) else {}
    study, series, frame = (generate_uid(entropy_srcs=[volume.case_id, part]) for part in ("study", "series", "frame"))
    slices = []
    for k in range(volume.shape[2]):
        instance = generate_uid(entropy_srcs=[volume.case_id, "instance", str(k)])
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
        meta.MediaStorageSOPInstanceUID = instance
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, instance
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"] if modality == "CT" else ["DERIVED", "PRIMARY", "OTHER"]
        ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = modality, "AMD-DAS", "head phantom"
        ds.PatientName, ds.PatientID = f"Phantom^{volume.case_id}", volume.case_id
        ds.PatientBirthDate, ds.PatientSex = "", "O"
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = _DATE
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
        ds.StudyDescription, ds.SeriesDescription = (
            "Head phantom",
            "Head without contrast" if modality == "CT" else "FLAIR",
        )
        ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = "1", "1", str(k + 1)
        ds.BodyPartExamined, ds.PatientPosition, ds.PositionReferenceIndicator = "HEAD", "HFS", ""
        position = (lps @ [0, 0, k, 1])[:3]
        ds.ImagePositionPatient, ds.ImageOrientationPatient = _digits(position), _digits(orientation)
        ds.SliceLocation = _digits([float(position @ normal)])[0]
        ds.PixelSpacing = _digits([spacing[1], spacing[0]])
        ds.SliceThickness = _digits([scanner.get("slice_mm", spacing[2])])[0]
        ds.Rows, ds.Columns = volume.shape[1], volume.shape[0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        if modality == "CT":
            ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
            ds.KVP = "120"
            ds.GantryDetectorTilt = _digits([scanner.get("tilt_deg", 0.0)])[0]
            ds.WindowCenter, ds.WindowWidth = "40", "80"
        else:
            ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = ["SE", "IR"], "SK", ""
            ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime = "2D", "100", "9000"
            ds.InversionTime, ds.EchoTrainLength = "2500", "16"
        ds.PixelData = np.ascontiguousarray(volume.array[:, :, k].T.astype("<i2")).tobytes()
        slices.append(ds)
    return slices
