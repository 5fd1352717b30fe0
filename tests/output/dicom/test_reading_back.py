"""SEGs of others, and those that do not belong to the CT."""

from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_results import MODEL, classic, oblique, random_mask, tags
from pydicom.dataset import Dataset

from amd_das.errors import GeometryError, NotFoundError, UnreadableError
from amd_das.measurement import Measurement
from amd_das.output.dicom import dicom_objects, read_segmentation
from amd_das.volume import Volume

NOTHING = Measurement(volume_ml=0.0, lesions=())


def seg(volume: Volume, mask: np.ndarray) -> Dataset:
    return dicom_objects(volume, mask, NOTHING, model=MODEL, formats=["seg"])["seg"][0]


def test_frames_may_be_missing(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    mask = random_mask(volume)
    dataset = seg(volume, mask)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    kept = [0, 2, 5]
    frames = dataset.pixel_array.reshape(-1, rows * columns)[kept]
    groups = [dataset.PerFrameFunctionalGroupsSequence[index] for index in kept]
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(kept)
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset._pixel_array = None
    mask[:, :, [1, 3, 4]] = 0
    np.testing.assert_array_equal(read_segmentation(dataset, volume), mask)


def test_another_grid_or_frame_of_reference_is_refused(tmp_path: Path) -> None:
    volume, other = classic(tmp_path / "ct"), oblique(tmp_path / "oblique")
    elsewhere = classic(tmp_path / "elsewhere", change=tags(FrameOfReferenceUID="1.9"))
    dataset = seg(volume, random_mask(volume))
    with pytest.raises(GeometryError, match="another grid"):
        read_segmentation(dataset, other)
    with pytest.raises(GeometryError, match="another frame of reference"):
        read_segmentation(dataset, elsewhere)
    finer = classic(tmp_path / "finer", change=tags(PixelSpacing=[0.4, 0.4]))
    with pytest.raises(GeometryError, match="another grid"):
        read_segmentation(dataset, finer)


def test_segments_of_something_else_are_left_out(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "78961009"
    with pytest.raises(NotFoundError, match="none of the 1 segments"):
        read_segmentation(dataset, volume)


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SegmentationType", "PixelData", "PerFrameFunctionalGroupsSequence"]
)
def test_what_is_no_whole_seg_is_refused(tmp_path: Path, keyword: str) -> None:
    volume = classic(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    delattr(dataset, keyword)
    with pytest.raises(UnreadableError):
        read_segmentation(dataset, volume)


def test_a_seg_without_a_size_is_refused(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    dataset.Rows = None
    with pytest.raises(UnreadableError, match="cannot be decoded"):
        read_segmentation(dataset, volume)


def test_frames_without_a_description_or_a_segment_are_refused(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    dataset = seg(volume, random_mask(volume))
    count = int(dataset.NumberOfFrames)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    dataset.PerFrameFunctionalGroupsSequence = groups[:-1]
    with pytest.raises(UnreadableError, match=f"describes {count - 1} frames and has pixels of {count}"):
        read_segmentation(dataset, volume)
    dataset.PerFrameFunctionalGroupsSequence = groups
    del groups[0].SegmentIdentificationSequence
    with pytest.raises(UnreadableError, match="does not say its segment"):
        read_segmentation(dataset, volume)
    del dataset.SegmentSequence[0].SegmentNumber
    with pytest.raises(UnreadableError, match="has no number"):
        read_segmentation(dataset, volume)
