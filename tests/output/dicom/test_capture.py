"""DICOM SC: one picture a slice, what is drawn and written on it, and its tags."""

from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_results import (
    FRAME_UID,
    MODEL,
    SOURCES,
    STUDY_UID,
    classic,
    complaints,
    lesions,
    saved,
    tags,
)
from helpers.dicom_series import write_series
from pydicom import dcmread
from pydicom.dataset import Dataset
from scipy import ndimage

from amd_das.conventions import LINE_RGB
from amd_das.measurement import measure
from amd_das.output.dicom import dicom_objects
from amd_das.output.dicom.capture import draw_slice, letters
from amd_das.reading import read_volume
from amd_das.volume import Volume

SIDES = ("R", "L", "A", "P")
SOURCE_TAGS = tags()


def captures(volume: Volume, mask: np.ndarray, **options: object) -> list[Dataset]:
    options = {"model": MODEL, "formats": ["sc"], **options}
    return dicom_objects(volume, mask, measure(mask, volume), **options)["sc"]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_picture_of_each_slice_in_order(tmp_path: Path, kind: str) -> None:
    volume = SOURCES[kind](tmp_path / "ct")
    found = captures(volume, lesions(volume))
    assert len(found) == volume.shape[2]
    assert len({one.SOPInstanceUID for one in found}) == len(found)
    assert len({one.SeriesInstanceUID for one in found}) == 1
    for number, (one, source) in enumerate(zip(found, volume.slice_sources, strict=True), start=1):
        original = dcmread(source.path)
        assert (one.Rows, one.Columns, one.InstanceNumber) == (original.Rows, original.Columns, number)
        (reference,) = one.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert reference.get("ReferencedFrameNumber", 1) == source.frame + 1
        origin = volume.affine @ [0, 0, number - 1, 1] * [-1, -1, 1, 1]
        assert list(one.ImagePositionPatient) == pytest.approx(origin[:3].tolist(), abs=0.01)
    assert complaints(saved(found[1], tmp_path / "sc.dcm")) == []


def test_what_it_says(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    one = dcmread(saved(captures(volume, lesions(volume))[0], tmp_path / "sc.dcm"))
    assert (one.SOPClassUID.name, one.Modality) == ("Secondary Capture Image Storage", "OT")
    assert (one.BurnedInAnnotation, one.ContentQualification) == ("YES", "RESEARCH")
    assert (one.Manufacturer, one.SeriesDescription) == ("AMD-DAS", "AMD-DAS overlay")
    assert (one.StudyInstanceUID, one.FrameOfReferenceUID, one.PatientID) == (STUDY_UID, FRAME_UID, "PAT-4711")
    assert (one.PhotometricInterpretation, list(one.PatientOrientation)) == ("RGB", ["L", "P"])
    assert one.pixel_array.shape == (*volume.shape[1::-1], 3)


def test_the_outline_encloses_the_lesion_and_leaves_it_to_be_seen() -> None:
    hu = np.full((256, 256), 30.0)
    region = np.zeros(hu.shape, bool)
    region[100:120, 140:150] = True
    hu[region] = 60.0
    picture = draw_slice(hu, region, ("Hemorrhage 1.0 mL, 1 lesion",), SIDES)
    drawn = (picture == LINE_RGB).all(axis=-1)
    np.testing.assert_array_equal(drawn[90:130, 130:160], (ndimage.binary_dilation(region) & ~region)[90:130, 130:160])
    assert (picture[region] == 191).all()


def test_text_is_where_and_as_large_as_it_should_be() -> None:
    empty = np.zeros((512, 512), bool)
    picture = draw_slice(np.full(empty.shape, -1000.0), empty, ("Hemorrhage 12.3 mL, 2 lesions", "AMD-DAS"), SIDES)
    bright = picture.max(axis=-1) > 128
    top_left, banner = bright[:45, :300], bright[485:]
    assert np.ptp(np.nonzero(top_left.any(axis=1))[0]) > 20
    assert np.ptp(np.nonzero(banner.any(axis=0))[0]) > 400
    for part in (bright[230:280, :40], bright[230:280, -40:], bright[:40, 240:270], bright[455:485, 240:270]):
        assert 10 < part.sum() < 200
    assert not bright[100:200].any()


@pytest.mark.parametrize("shape", [(64, 64), (96, 400), (1024, 1024), (2, 2)])
def test_text_fits_images_of_any_size(shape: tuple[int, int]) -> None:
    picture = draw_slice(np.zeros(shape), np.zeros(shape, bool), ("Hemorrhage 1.0 mL, 1 lesion",), SIDES)
    assert picture.shape == (*shape, 3)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        ([[1, 0, 0], [0, 1, 0]], ("R", "L", "A", "P")),
        ([[-1, 0, 0], [0, 1, 0]], ("L", "R", "A", "P")),
        ([[0, 1, 0], [0, 0, -1]], ("A", "P", "H", "F")),
        ([[0.96, 0.28, 0], [-0.224, 0.768, 0.6]], ("R", "L", "AF", "PH")),
    ],
)
def test_the_letters_at_the_edges(orientation: list[list[float]], expected: tuple[str, ...]) -> None:
    assert letters(np.array(orientation, float)) == expected


def test_a_scan_without_hemorrhage_says_so(tmp_path: Path) -> None:
    array = np.full((256, 256, 2), 30, np.int16)
    volume = read_volume(write_series(tmp_path / "ct", array, change=SOURCE_TAGS))
    none, some = np.zeros(volume.shape, np.uint8), np.zeros(volume.shape, np.uint8)
    some[100:120, 100:120, 0] = 1
    without, with_one = captures(volume, none)[1].pixel_array, captures(volume, some)[1].pixel_array
    assert not (without == with_one).all()  # the words differ, on a slice without lesion too


def test_an_odd_number_of_bytes_is_padded(tmp_path: Path) -> None:
    array = np.full((33, 31, 2), 30, np.int16)
    volume = read_volume(write_series(tmp_path / "ct", array, change=SOURCE_TAGS))
    (one, _) = captures(volume, np.zeros(volume.shape, np.uint8))
    assert len(one.PixelData) == 33 * 31 * 3 + 1
    assert one.pixel_array.shape == (31, 33, 3)
