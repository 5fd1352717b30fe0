"""From files to files: what is written, under which name, and what a bad input does."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from helpers.dicom_results import classic
from pydicom import dcmread

from amd_das import journey
from amd_das.errors import ConfigError, NotHeadCtError, UnreadableError
from amd_das.inference import Segmentation
from amd_das.measurement import measure
from amd_das.models import ModelInfo
from amd_das.output.dicom import read_report, read_segmentation
from amd_das.volume import Volume


class ThresholdPredictor:
    """Stands in for the network: blood is what lies from 50 to 100 HU."""

    def segment(self, volume: Volume, progress: Callable[[str, float], None] | None = None) -> Segmentation:
        if (volume.array == 1).all():
            raise NotHeadCtError("no brain was found; expected a head CT")
        if (volume.array == 2).all():
            raise ZeroDivisionError("a bug")
        if progress:
            progress("network", 0.5)
        mask = ((volume.array >= 50) & (volume.array <= 100)).astype(np.uint8)
        return Segmentation(
            mask=mask,
            measurement=measure(mask, volume),
            model=ModelInfo(name="amd_das", version="v1", checksum="0" * 64),
            warnings=(),
            latencies={"network": 0.1},
        )


PREDICTOR = ThresholdPredictor()
AFFINE = np.array([[-1.0, 0, 0, 20], [0, -1, 0, 20], [0, 0, 5, -7], [0, 0, 0, 1]])


def write_scan(path: Path, lesion_rows: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((40, 40, 4), 30, np.int16)
    array[10 : 10 + lesion_rows, 10:20, 1:3] = 60
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)
    return path


def write_constant(path: Path, value: int) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.full((40, 40, 4), value, np.int16), AFFINE), path)
    return path


def table(directory: Path) -> list[dict[str, str]]:
    with (directory / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_scan_leaves_mask_record_and_picture(tmp_path: Path) -> None:
    stages: list[tuple[str, float]] = []
    scan = write_scan(tmp_path / "case-1.nii.gz")
    result = journey.segment_case(
        scan, PREDICTOR, tmp_path / "new" / "out", progress=lambda stage, part: stages.append((stage, part))
    )
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "case-1.json",
        "case-1.nii.gz",
        "case-1.png",
    ]
    mask = nibabel.load(result.mask)
    assert mask.get_data_dtype() == np.uint8
    assert np.allclose(mask.affine, AFFINE)
    assert np.asarray(mask.dataobj).sum() == 120
    assert json.loads(result.json.read_text()) == result.record
    assert result.record["volume_ml"] == pytest.approx(0.6)
    assert list(result.record["latencies_s"]) == ["read", "network", "write", "total"]
    assert result.overlay.read_bytes().startswith(b"\x89PNG")
    assert stages == [("reading", 0.0), ("network", 0.5), ("writing", 1.0)]


def test_masks_can_be_nrrd(tmp_path: Path) -> None:
    result = journey.segment_case(write_scan(tmp_path / "a.nii.gz"), PREDICTOR, tmp_path / "out", formats=["nrrd"])
    assert result.mask.name == "a.nrrd"
    assert nrrd.read(str(result.mask))[0].sum() == 120


def test_another_format_or_an_impossible_folder_is_refused_before_reading(tmp_path: Path) -> None:
    absent = tmp_path / "absent.nii.gz"
    with pytest.raises(ConfigError, match=r"format 'dcm': expected some of nii\.gz, nrrd, seg, sr, sc"):
        journey.segment_case(absent, PREDICTOR, tmp_path / "out", formats=["seg", "dcm"])
    with pytest.raises(ConfigError, match="leave one out"):
        journey.segment_case(absent, PREDICTOR, tmp_path / "out", formats=["nii.gz", "nrrd"])
    with pytest.raises(ConfigError, match="missing"):
        journey.segment_case(absent, PREDICTOR, tmp_path / "out", formats=[])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the output folder"):
        journey.segment_case(absent, PREDICTOR, tmp_path / "file")


def test_dicom_in_and_dicom_out(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    for _ in range(2):  # the second time over the first
        result = journey.segment_case(
            tmp_path / "ct", PREDICTOR, tmp_path / "out", formats=["nii.gz", "seg", "sr", "sc"]
        )
    case, out = volume.case_id, tmp_path / "out"
    assert result.dicom == (out / f"{case}-seg.dcm", out / f"{case}-sr.dcm", out / f"{case}-sc")
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{case}{ending}" for ending in (".json", ".nii.gz", ".png", "-sc", "-seg.dcm", "-sr.dcm")
    )
    assert sorted(path.name for path in result.dicom[2].iterdir()) == [f"{n:04d}.dcm" for n in range(1, 7)]
    assert result.mask is not None
    np.testing.assert_array_equal(
        read_segmentation(dcmread(result.dicom[0]), volume), np.asarray(nibabel.load(result.mask).dataobj)
    )
    report = read_report(dcmread(result.dicom[1]))
    assert report is not None
    assert report.volume_ml == pytest.approx(result.record["volume_ml"], abs=1e-3)


def test_results_beside_the_scan_are_no_scans(tmp_path: Path) -> None:
    classic(tmp_path / "ct")
    for _ in range(2):
        rows = list(journey.segment_cases([tmp_path], PREDICTOR, tmp_path / "ct", formats=["seg", "sr", "sc"]))
        assert [row.status for row in rows] == ["ok"]


def test_dicom_alone_leaves_no_other_mask(tmp_path: Path) -> None:
    classic(tmp_path / "ct")
    result = journey.segment_case(tmp_path / "ct", PREDICTOR, tmp_path / "out", formats=["seg"])
    assert result.mask is None
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_dicom_out_of_nifti_is_an_error_of_that_case(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "a.nii.gz")
    classic(tmp_path / "ct")
    nifti, dicom = journey.segment_cases([scan, tmp_path / "ct"], PREDICTOR, tmp_path / "out", formats=["seg"])
    assert (nifti.status, dicom.status) == ("error", "ok")
    assert "a is not from DICOM (nifti)" in nifti.error
    assert not list((tmp_path / "out").glob("a*"))


def test_a_bad_scan_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    with pytest.raises(UnreadableError):
        journey.segment_case(broken, PREDICTOR, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_input_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    paths = [
        tmp_path / "absent.nii.gz",
        broken,
        write_constant(tmp_path / "abdomen.nii.gz", 1),
        write_constant(tmp_path / "bug.nii.gz", 2),
        write_scan(tmp_path / "good.nii.gz"),
    ]
    rows = {row.case: row for row in journey.segment_cases(paths, PREDICTOR, tmp_path / "out")}
    assert {case: row.status for case, row in rows.items()} == {
        "absent.nii.gz": "error",
        "broken": "error",
        "abdomen": "error",
        "bug": "error",
        "good": "ok",
    }
    assert "does not exist" in rows["absent.nii.gz"].error
    assert rows["abdomen"].error == "no brain was found; expected a head CT"
    assert rows["bug"].error == "unexpected ZeroDivisionError: a bug"
    assert [row["case"] for row in table(tmp_path / "out")] == list(rows)
    assert not list((tmp_path / "out").glob("abdomen*"))


def test_scans_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    paths = [write_scan(tmp_path / "a" / "ct.nii.gz", 6), write_scan(tmp_path / "b" / "ct.nii.gz", 3)]
    rows = list(journey.segment_cases(paths, PREDICTOR, tmp_path / "out"))
    assert [row.volume_ml for row in rows] == pytest.approx([0.6, 0.3])
    assert len({row.case for row in rows}) == 2
    for row in rows:
        record = json.loads((tmp_path / "out" / f"{row.case}.json").read_text())
        assert (record["case_id"], record["volume_ml"]) == (row.case, row.volume_ml)


def test_the_table_grows_with_every_scan(tmp_path: Path) -> None:
    paths = [write_scan(tmp_path / f"{name}.nii.gz") for name in "ab"]
    run = journey.segment_cases(paths, PREDICTOR, tmp_path / "out")
    next(run)
    assert [row["case"] for row in table(tmp_path / "out")] == ["a"]
    next(run)
    assert [row["case"] for row in table(tmp_path / "out")] == ["a", "b"]


def test_progress_is_that_of_the_run(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    paths = [write_scan(tmp_path / f"{name}.nii.gz") for name in "ab"]
    list(
        journey.segment_cases(
            paths, PREDICTOR, tmp_path / "out", progress=lambda stage, part: told.append((stage, part))
        )
    )
    assert told == [
        ("1/2 a: reading", 0.0),
        ("1/2 a: network", 0.25),
        ("1/2 a: writing", 0.5),
        ("2/2 b: reading", 0.5),
        ("2/2 b: network", 0.75),
        ("2/2 b: writing", 1.0),
    ]
