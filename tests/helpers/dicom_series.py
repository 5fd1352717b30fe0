"""Tiny DICOM series, written the way scanners do and as broken as a test needs them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def ct_slice(pixels: np.ndarray, *, series_uid: str, position: Sequence[float] = (-50.0, -60.0, 10.0)) -> Dataset:
    """One axial CT slice: (rows, columns) int16 HU, 0.5 × 0.5 × 5 mm, stored with an intercept of -1024."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series_uid
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "PAT-4711"  # letters in it: tests look for it where random UIDs stand, which have digits alone
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.SliceThickness = 5
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [float(coordinate) for coordinate in position]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = (pixels.astype(np.int32) + 1024).astype("<i2").tobytes()
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write with preamble and file meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, write_like_original=False)
    return path


def write_series(
    folder: Path,
    array: np.ndarray,
    *,
    step: Sequence[float] = (0.0, 0.0, 5.0),
    series_uid: str | None = None,
    change: Callable[[int, Dataset], None] | None = None,
) -> Path:
    """(I, J, K) int16 HU as K slices in ``folder``, in an order of names that is not the one in space.

    ``step`` is the way from one slice to the next in LPS mm; ``change(index, dataset)`` may spoil or vary each slice.
    """
    series_uid = series_uid or generate_uid()
    for index in range(array.shape[2]):
        position = np.array([-50.0, -60.0, 10.0]) + index * np.asarray(step)
        dataset = ct_slice(array[:, :, index].T, series_uid=series_uid, position=position)
        if change is not None:
            change(index, dataset)
        save(dataset, folder / f"IM{(index * 7) % 101:03d}.dcm")
    return folder
