"""A real Orthanc on free loopback ports, configured by the code that configures it for ``make serve-pacs``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests
from helpers.dicom_series import ct_slice
from helpers.heads import make_head
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from amd_das.pacs.dicomweb import DicomWeb, PacsConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "amd_das"))
from amd_das_app.pacs.orthanc import Orthanc, OrthancConfig, free_port, missing

__all__ = ["Orthanc", "head_series", "missing", "orthanc_on", "rest", "start_orthanc", "web"]


def start_orthanc(folder: Path, **options: Any) -> Orthanc:
    """Started and answering, its data in ``folder``; ``close()`` stops it. Options are those of OrthancConfig."""
    options = {"http_port": free_port(), "dicom_port": free_port(), "stable_seconds": 1} | options
    return Orthanc(OrthancConfig(folder=folder, **options)).wait_until_ready()


def orthanc_on(config: OrthancConfig) -> Orthanc:
    """The same once more, as after a restart of the machine."""
    return Orthanc(config).wait_until_ready()


def web(orthanc: Orthanc, **options: Any) -> DicomWeb:
    """A client of it; options are those of PacsConfig."""
    return DicomWeb(PacsConfig(url=orthanc.url, **options))


def rest(orthanc: Orthanc, method: str, path: str, **options: Any) -> requests.Response:
    """A request to Orthanc's own interface, as an administrator makes it."""
    return requests.request(method, f"http://127.0.0.1:{orthanc.config.http_port}{path}", timeout=30, **options)


def head_series(
    *,
    bleed: bool = True,
    bleed_x: float = 10.0,
    study_uid: str | None = None,
    series_uid: str | None = None,
    patient_id: str = "PAT-4711",
    date: str = "20250102",
    array: np.ndarray | None = None,
) -> list[Dataset]:
    """The slices of :func:`helpers.heads.make_head` as a scanner sends them, 2 × 2 × 8 mm; complete for a PACS."""
    hu, blood = make_head(bleed_x=bleed_x)
    hu = hu if array is None else array
    hu = hu if bleed else np.where(blood, 35, hu).astype(np.int16)
    study_uid, series_uid, frame_uid = study_uid or generate_uid(), series_uid or generate_uid(), generate_uid()
    slices = []
    for k in range(hu.shape[2]):
        dataset = ct_slice(hu[:, :, k].T, series_uid=series_uid, position=(-96.0, -110.0, -40.0 + 8 * k))
        dataset.PixelSpacing, dataset.SliceThickness = [2, 2], 8
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = study_uid, frame_uid
        dataset.PatientID, dataset.PatientName = patient_id, "Doe^Jane"
        dataset.PatientBirthDate, dataset.PatientSex = "19500101", "F"
        dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = date
        dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "101500"
        dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
        dataset.SeriesDescription, dataset.SeriesNumber, dataset.InstanceNumber = "Head", 2, k + 1
        slices.append(with_meta(dataset))
    return slices


def with_meta(dataset: Dataset) -> Dataset:
    """With the file meta information that storing asks for."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def changed(datasets: Sequence[Dataset], **tags: Any) -> list[Dataset]:
    """The same with other values of some tags, as new instances of a new series."""
    series_uid = generate_uid()
    for dataset in datasets:
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series_uid, generate_uid()
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        with_meta(dataset)
    return list(datasets)
