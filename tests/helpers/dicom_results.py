"""CT series complete enough to answer with DICOM objects, masks on them, and readers that are not ours."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_series import ct_slice, save, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from amd_das.models import ModelInfo
from amd_das.reading import read_volume
from amd_das.volume import Volume

MODEL = ModelInfo(name="amd_das", version="2026-11-20-0a1b2c3d", checksum="0a1b2c3d" * 8)
STUDY_UID, SERIES_UID, FRAME_UID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
SHAPE = (37, 31, 6)
"""Columns, rows, slices: frames whose bits fill no whole bytes."""

Change = Callable[[int, Dataset], None]

_OBLIQUE = [0.96, 0.28, 0.0, -0.224, 0.768, 0.6]


def tags(**more: object) -> Change:
    """The tags of a study, and others."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = STUDY_UID, FRAME_UID
        dataset.StudyDate, dataset.StudyTime = "20261120", "101112"
        dataset.AcquisitionDate, dataset.AcquisitionTime = "20261120", "101530.25"
        dataset.PatientBirthDate, dataset.PatientSex = "19500102", "F"
        dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "A-17", "17", "Ray^X"
        dataset.InstanceNumber, dataset.SeriesNumber = index + 1, 2
        for keyword, content in more.items():
            if content is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, content)

    return change


def head(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(I, J, K) int16 HU: noisy brain with a brighter block."""
    array = np.random.default_rng(3).normal(35, 4, shape).astype(np.int16)
    array[2:9, 3:8, 1:3] = 65
    return array


def classic(folder: Path, **options: object) -> Volume:
    """A classic series as written by :func:`write_series`, read."""
    options.setdefault("change", tags())
    return read_volume(write_series(folder, head(), series_uid=SERIES_UID, **options))  # type: ignore[arg-type]


def enhanced(folder: Path, files: int = 1) -> Volume:
    """Enhanced CT, frames from the top down, in one file or more."""
    array = head()
    for part, slices in enumerate(np.array_split(np.arange(array.shape[2]), files)):
        dataset = ct_slice(array[:, :, 0].T, series_uid=SERIES_UID)
        tags()(part, dataset)
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
            delattr(dataset, keyword)
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.NumberOfFrames = len(slices)
        dataset.PixelData = (array[:, :, slices[::-1]].T + 1024).astype("<i2").tobytes()
        measures = _item(PixelSpacing=[0.5, 0.5], SliceThickness=5)
        orientation = _item(ImageOrientationPatient=_OBLIQUE)
        values = _item(RescaleSlope=1, RescaleIntercept=-1024)
        dataset.SharedFunctionalGroupsSequence = _item(PixelValueTransformationSequence=values)
        normal = np.cross(_OBLIQUE[:3], _OBLIQUE[3:])
        dataset.PerFrameFunctionalGroupsSequence = Sequence(
            _item(
                PlanePositionSequence=_item(ImagePositionPatient=np.round(5.0 * index * normal, 6).tolist()),
                PlaneOrientationSequence=orientation,
                PixelMeasuresSequence=measures,
            )[0]
            for index in slices[::-1]
        )
        save(dataset, folder / f"{part}.dcm")
    return read_volume(folder)


def _item(**content: object) -> Sequence:
    item = Dataset()
    for keyword, value in content.items():
        setattr(item, keyword, value)
    return Sequence([item])


def oblique(folder: Path) -> Volume:
    """Turned about two axes, pixels that are not square."""
    normal = np.cross(_OBLIQUE[:3], _OBLIQUE[3:])
    change = tags(ImageOrientationPatient=_OBLIQUE, PixelSpacing=[0.4, 0.7])
    return classic(folder, step=3.0 * normal, change=change)


SOURCES: dict[str, Callable[[Path], Volume]] = {
    "axial": classic,
    "top down": lambda folder: classic(folder, step=(0.0, 0.0, -5.0)),
    "rows reversed": lambda folder: classic(folder, change=tags(ImageOrientationPatient=[1, 0, 0, 0, -1, 0])),
    "feet up, mirrored": lambda folder: classic(
        folder, step=(0.0, 0.0, -5.0), change=tags(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])
    ),
    "oblique": oblique,
    "tilted": lambda folder: classic(folder, step=(0.0, -1.6, 4.7)),
    "enhanced": enhanced,
    "enhanced, two files": lambda folder: enhanced(folder, files=2),
}
"""Series of every geometry."""


def random_mask(volume: Volume) -> np.ndarray:
    """Every pixel by itself, so that an exchanged axis or a lost bit is noticed; one slice is empty."""
    mask = (np.random.default_rng(5).random(volume.shape) < 0.3).astype(np.uint8)
    mask[:, :, volume.shape[2] // 2] = 0
    return mask


def lesions(volume: Volume) -> np.ndarray:
    """Two boxes."""
    mask = np.zeros(volume.shape, np.uint8)
    mask[2:9, 3:8, 1:3] = 1
    mask[20:24, 20:24, 4] = 1
    return mask


def complaints(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    with path.open("rb") as file:
        done = subprocess.run([program], stdin=file, capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def through_dcmqi(path: Path, volume: Volume) -> np.ndarray:
    """The mask of a SEG as dcmqi sees it, on the volume's grid."""
    beside = Path(sys.executable).parent
    program = shutil.which("segimage2itkimage", path=beside) or shutil.which("segimage2itkimage")
    if program is None:
        pytest.skip("segimage2itkimage is not installed (pip install dcmqi)")
    folder = path.parent / f"{path.stem}-itk"
    folder.mkdir()
    command = [program, "--inputDICOM", str(path), "--outputDirectory", str(folder), "--outputType", "nii"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    images = list(folder.glob("*.nii.gz"))
    assert len(images) == 1, done.stdout + done.stderr
    image = nibabel.load(images[0])
    array = np.asarray(image.dataobj)
    to_volume = np.linalg.inv(volume.affine) @ image.affine
    indices = np.moveaxis(np.indices(array.shape), 0, -1).reshape(-1, 3) @ to_volume[:3, :3].T + to_volume[:3, 3]
    assert np.abs(indices - np.rint(indices)).max() < 0.02
    mask = np.zeros(volume.shape, np.uint8)
    mask[tuple(np.rint(indices).astype(int).T)] = array.ravel()
    return mask


def saved(dataset: Dataset, path: Path) -> Path:
    """As a DICOM file."""
    dataset.save_as(path, write_like_original=False)
    return path


def fresh_uid() -> str:
    """Another one every time."""
    return str(generate_uid())
