"""DICOM SEG: the mask to the voxel whatever the grid, by readers that are not ours, and its tags."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_results import (
    FRAME_UID,
    MODEL,
    SERIES_UID,
    SHAPE,
    SOURCES,
    STUDY_UID,
    classic,
    complaints,
    enhanced,
    random_mask,
    saved,
    tags,
    through_dcmqi,
)
from helpers.dicom_series import write_series
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.conventions import COLOUR_RGB, SEGMENT_LABEL
from amd_das.measurement import Measurement
from amd_das.output.dicom import dicom_objects, read_segmentation
from amd_das.reading import read_volume
from amd_das.volume import Volume

NOTHING = Measurement(volume_ml=0.0, lesions=())


def seg(volume: Volume, mask: np.ndarray, **options: object) -> Dataset:
    options.setdefault("model", MODEL)
    (found,) = dicom_objects(volume, mask, NOTHING, formats=["seg"], **options)["seg"]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("kind", SOURCES)
def test_the_mask_comes_back_to_the_voxel(tmp_path: Path, kind: str) -> None:
    volume = SOURCES[kind](tmp_path / "ct")
    mask = random_mask(volume)
    path = saved(seg(volume, mask), tmp_path / "seg.dcm")
    np.testing.assert_array_equal(read_segmentation(dcmread(path), volume), mask)
    assert complaints(path) == []


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind != "tilted"])  # dcmqi knows no sheared grids
def test_dcmqi_sees_the_same_voxels(tmp_path: Path, kind: str) -> None:
    volume = SOURCES[kind](tmp_path / "ct")
    mask = random_mask(volume)
    path = saved(seg(volume, mask), tmp_path / "seg.dcm")
    np.testing.assert_array_equal(through_dcmqi(path, volume), mask)


def test_dcmqi_sees_the_colour_of_the_label(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    path = saved(seg(volume, random_mask(volume)), tmp_path / "seg.dcm")
    through_dcmqi(path, volume)
    (meta,) = (tmp_path / "seg-itk").glob("*.json")
    ((segment,),) = json.loads(meta.read_text())["segmentAttributes"]
    assert segment["recommendedDisplayRGBValue"] == pytest.approx(COLOUR_RGB, abs=1)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_frame_refers_to_the_image_it_covers(tmp_path: Path, kind: str) -> None:
    volume = SOURCES[kind](tmp_path / "ct")
    mask = random_mask(volume)
    dataset = seg(volume, mask)
    images = {str(dcmread(one.path).SOPInstanceUID): one.path for one in volume.slice_sources}
    slices = {(one.path, one.frame): index for index, one in enumerate(volume.slice_sources)}
    saved(dataset, tmp_path / "seg.dcm")
    seen = []
    for frame, group in zip(
        dcmread(tmp_path / "seg.dcm").pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True
    ):
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        index = slices[images[item.ReferencedSOPInstanceUID], int(item.get("ReferencedFrameNumber", 1)) - 1]
        np.testing.assert_array_equal(frame.T, mask[:, :, index])
        assert item.SpatialLocationsPreserved == "YES"
        seen.append(index)
    assert sorted(seen) == list(range(volume.shape[2]))
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES_UID
    assert sorted(item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence) == sorted(images)


def test_what_it_says(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    assert (dataset.SegmentationType, dataset.Modality, int(dataset.NumberOfFrames)) == ("BINARY", "SEG", SHAPE[2])
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == (STUDY_UID, FRAME_UID)
    assert (dataset.PatientID, str(dataset.PatientName), dataset.AccessionNumber) == ("PAT-4711", "Doe^Jane", "A-17")
    assert (dataset.Manufacturer, dataset.SeriesDescription) == ("AMD-DAS", "AMD-DAS segmentation")
    assert dataset.ContentQualification == "RESEARCH"
    assert f"model {MODEL.version}" in dataset.SoftwareVersions
    (segment,) = dataset.SegmentSequence
    assert segment.SegmentLabel == SEGMENT_LABEL
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "50960005"
    assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "AMD-DAS")
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == MODEL.version


def test_a_scan_without_hemorrhage_keeps_all_its_frames(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    mask = np.zeros(volume.shape, np.uint8)
    path = saved(seg(volume, mask), tmp_path / "seg.dcm")
    dataset = dcmread(path)
    assert int(dataset.NumberOfFrames) == volume.shape[2]
    assert not read_segmentation(dataset, volume).any()
    assert len(dataset.SegmentSequence) == 1
    assert complaints(path) == []
    assert not through_dcmqi(path, volume).any()


def test_a_lone_slice(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(0, 80, (*SHAPE[:2], 1)).astype(np.int16)
    volume = read_volume(write_series(tmp_path / "ct", array, series_uid=SERIES_UID, change=tags(SliceThickness=None)))
    mask = (array > 40).astype(np.uint8)
    path = saved(seg(volume, mask), tmp_path / "seg.dcm")
    np.testing.assert_array_equal(read_segmentation(dcmread(path), volume), mask)
    assert complaints(path) == []


def test_a_mask_drawn_by_hand_names_no_algorithm(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    path = saved(seg(volume, random_mask(volume), model=None, algorithm_type="MANUAL"), tmp_path / "seg.dcm")
    (segment,) = dcmread(path).SegmentSequence
    assert segment.SegmentAlgorithmType == "MANUAL"
    assert "SegmentAlgorithmName" not in segment
    assert complaints(path) == []


def test_frames_of_one_file_are_referred_to_as_one_image(tmp_path: Path) -> None:
    volume = enhanced(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    assert len(dataset.SourceImageSequence) == 1
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_positions_rounded_by_the_scanner_are_no_obstacle(tmp_path: Path) -> None:
    def rounded(index: int, dataset: Dataset) -> None:
        tags()(index, dataset)
        dataset.ImagePositionPatient = [-50.0, -60.0, round(10 + 0.62 * index, 1)]

    volume = classic(tmp_path / "ct", change=rounded)
    mask = random_mask(volume)
    np.testing.assert_array_equal(read_segmentation(seg(volume, mask), volume), mask)
