"""DICOM SR: what it measures, what it refers to, and that it can be read again."""

from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_results import MODEL, SERIES_UID, SOURCES, STUDY_UID, classic, complaints, lesions, saved, tags
from highdicom.sr import Comprehensive3DSR
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das import __version__
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.measurement import measure
from amd_das.output.dicom import Prior, Report, dicom_objects, read_report
from amd_das.volume import Volume

PRIOR = Prior(volume_ml=0.06, ct_date="20261118", ct_time="101112", study_uid="1.2.9", series_uid="1.2.9.1")


def built(volume: Volume, mask: np.ndarray, **options: object) -> dict[str, list[Dataset]]:
    options = {"model": MODEL, "formats": ("seg", "sr"), **options}
    return dicom_objects(volume, mask, measure(mask, volume), **options)  # type: ignore[arg-type]


def groups(dataset: Dataset) -> list[Dataset]:
    (measurements,) = [item for item in dataset.ContentSequence if meaning(item) == "Imaging Measurements"]
    return list(measurements.ContentSequence)


def meaning(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def numbers(group: Dataset) -> dict[tuple[str, str], float]:
    """By name and unit."""
    measured = [
        (meaning(item), item.MeasuredValueSequence[0]) for item in group.ContentSequence if item.ValueType == "NUM"
    ]
    return {(name, one.MeasurementUnitsCodeSequence[0].CodeValue): float(one.NumericValue) for name, one in measured}


def answers(group: Dataset) -> dict[str, str]:
    items = [item for item in group.ContentSequence if item.ValueType == "CODE"]
    return {meaning(item): str(item.ConceptCodeSequence[0].CodeMeaning) for item in items}


def texts(dataset: Dataset) -> list[str]:
    items = [item for item in dataset.ContentSequence if item.ValueType == "TEXT"]
    return [str(item.TextValue) for item in items if item.RelationshipType == "CONTAINS"]


def test_every_lesion_and_the_total(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    mask = lesions(volume)
    measurement = measure(mask, volume)
    path = saved(built(volume, mask)["sr"][0], tmp_path / "sr.dcm")
    assert complaints(path) == []
    total, *each = groups(dcmread(path))
    assert numbers(total) == {
        ("Volume", "mL"): pytest.approx(measurement.volume_ml, abs=6e-4),
        ("Number of lesions", "1"): 2,
    }
    assert answers(total)["Hemorrhage"] == "Present"
    assert len(each) == 2
    for group, lesion in zip(each, measurement.lesions, strict=True):
        a, b, c = lesion.diameters_mm
        assert numbers(group) == {
            ("Volume", "mL"): pytest.approx(lesion.volume_ml, abs=6e-4),
            ("Volume by ABC/2", "mL"): pytest.approx(lesion.abc2_ml, abs=6e-4),
            ("Long axis", "mm"): pytest.approx(a, abs=0.05),
            ("Short axis", "mm"): pytest.approx(b, abs=0.05),
            ("Height C of ABC/2", "mm"): pytest.approx(c, abs=0.05),
            ("Attenuation Coefficient", "[hnsf'U]"): pytest.approx(lesion.mean_hu, abs=0.05),
        }


def test_highdicom_finds_the_groups_of_the_template(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    path = saved(built(volume, lesions(volume))["sr"][0], tmp_path / "sr.dcm")
    report = Comprehensive3DSR.from_dataset(dcmread(path)).content
    found = report.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in found] == ["Lesion 1", "Lesion 2"]
    assert len(report.get_image_measurement_groups()) == 1
    assert found[0].finding_sites[0].laterality.meaning == "Right"


@pytest.mark.parametrize("kind", ["axial", "enhanced, two files"])
def test_lesions_refer_to_the_segment_and_to_the_images_they_lie_in(tmp_path: Path, kind: str) -> None:
    volume = SOURCES[kind](tmp_path / "ct")
    objects = built(volume, lesions(volume))
    (segmentation,), (report,) = objects["seg"], objects["sr"]
    assert complaints(saved(report, tmp_path / "sr.dcm")) == []
    images = [(dcmread(one.path), one.frame + 1) for one in volume.slice_sources]
    for group, slices in zip(groups(report)[1:], ((1, 2), (4,)), strict=True):
        refer = [
            (meaning(item), item.ReferencedSOPSequence[0])
            for item in group.ContentSequence
            if item.ValueType == "IMAGE"
        ]
        (segment,) = [one for name, one in refer if name == "Referenced Segment"]
        assert segment.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert segment.ReferencedSegmentNumber == 1
        found = {
            (str(one.ReferencedSOPInstanceUID), number)
            for name, one in refer
            if name.lower() == "source image for segmentation"
            for number in np.atleast_1d(one.get("ReferencedFrameNumber", 1)).tolist()
        }
        assert found == {(str(images[index][0].SOPInstanceUID), images[index][1]) for index in slices}
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {str(one.SeriesInstanceUID) for one in evidence} == {SERIES_UID, str(segmentation.SeriesInstanceUID)}


def test_a_scan_without_hemorrhage_has_a_volume_of_0(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    path = saved(built(volume, np.zeros(volume.shape, np.uint8))["sr"][0], tmp_path / "sr.dcm")
    assert complaints(path) == []
    (total,) = groups(dcmread(path))
    assert numbers(total) == {("Volume", "mL"): 0, ("Number of lesions", "1"): 0}
    assert answers(total)["Hemorrhage"] == "Absent"
    assert texts(dcmread(path))[0] == "No intraparenchymal hemorrhage was found (0 mL)."


def test_the_words_come_first_and_say_what_it_is_for(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct", change=tags(SliceThickness=1.0))
    (report,) = built(volume, lesions(volume))["sr"]
    assert texts(report) == [
        "Intraparenchymal hemorrhage: 0.1 mL in 2 lesions.",
        RESEARCH_NOTICE,
        "slices lie 5.00 mm apart but are 1.00 mm thick: what lies between is estimated",
    ]
    assert meaning(report.ContentSequence[-1]) == "Imaging Measurements"


def test_change_since_a_prior_study(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    path = saved(built(volume, lesions(volume), prior=PRIOR)["sr"][0], tmp_path / "sr.dcm")
    assert complaints(path) == []
    total = groups(dcmread(path))[0]
    found = numbers(total)
    now = found["Volume", "mL"]
    assert found["Volume in prior study", "mL"] == 0.06
    assert found["Change of volume since prior study", "mL"] == pytest.approx(now - 0.06, abs=2e-3)
    assert found["Change of volume since prior study", "%"] == pytest.approx(100 * (now - 0.06) / 0.06, abs=1)
    assert answers(total)["Expansion since prior study (> 6 mL or > 33 %)"] == "Yes"
    assert "Since the CT of 2026-11-18 with 0.1 mL: +0.0 mL (+79 %); this meets" in texts(dcmread(path))[0]
    assert read_report(dcmread(path)) is not None


@pytest.mark.parametrize("filled", [True, False])
def test_it_reads_what_it_wrote(tmp_path: Path, filled: bool) -> None:
    volume = classic(tmp_path / "ct")
    mask = lesions(volume) * filled
    path = saved(built(volume, mask)["sr"][0], tmp_path / "sr.dcm")
    assert read_report(dcmread(path)) == Report(
        study_uid=STUDY_UID,
        series_uid=SERIES_UID,
        volume_ml=pytest.approx(measure(mask, volume).volume_ml, abs=6e-4),
        n_lesions=2 * filled,
        model_version=MODEL.version,
        ct_datetime="20261120101530",
    )


def test_other_reports_and_damaged_ones_are_none(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    (report,) = built(volume, lesions(volume))["sr"]
    del groups(report)[0].ContentSequence[-3:]
    assert read_report(report) is None
    (report,) = built(volume, lesions(volume))["sr"]
    report.Manufacturer = "another"
    assert read_report(report) is None
    assert read_report(Dataset()) is None


def test_a_mask_drawn_by_hand_says_so(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    (report,) = built(volume, lesions(volume), model=None, algorithm_type="MANUAL")["sr"]
    said = [str(item.TextValue) for item in groups(report)[0].ContentSequence if item.ValueType == "TEXT"]
    assert "drawn by hand, measured by AMD-DAS" in said
    assert read_report(report).model_version == __version__  # type: ignore[union-attr]
