"""The JSON record and the table of a run."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from amd_das import __version__
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.inference import Segmentation
from amd_das.measurement import measure
from amd_das.models import ModelInfo
from amd_das.output.summary import failed_row, result_dict, result_row, write_json, write_summary
from amd_das.volume import Volume


def case(*, empty: bool = False) -> tuple[Volume, Segmentation]:
    array = np.full((20, 20, 6), 30, np.float32)
    mask = np.zeros(array.shape, np.uint8)
    if not empty:
        mask[1:7, 1:7, 2:4] = 1
        mask[15, 15, 5] = 1
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    volume = Volume(array=array, affine=affine, case_id="case-1", source="nifti", warnings=("from the reader",))
    return volume, Segmentation(
        mask=mask,
        measurement=measure(mask, volume),
        model=ModelInfo(name="amd_das", version="v1", checksum="ab" * 32),
        warnings=("thick slices", "from the reader"),
        latencies={"network": np.float64(1.23456)},
    )


def test_the_record_survives_json_and_says_everything(tmp_path: Path) -> None:
    volume, segmented = case()
    record = result_dict(volume, segmented)
    path = write_json(record, tmp_path / "case-1.json")
    assert json.loads(path.read_text()) == record
    assert list(tmp_path.iterdir()) == [path]
    assert record["case_id"] == "case-1"
    assert record["volume_ml"] == pytest.approx(0.365)
    assert [lesion["volume_ml"] for lesion in record["lesions"]] == pytest.approx([0.36, 0.005])
    assert record["lesions"][0] == {
        "label": 1,
        "volume_ml": 0.36,
        "abc2_ml": 0.326,
        "diameters_mm": {"a": 8.1, "b": 8.1, "c": 10.0},  # the square's diagonals
        "mean_hu": 30.0,
        "bounding_slices": [2, 3],
        "centroid_mm": [-3.5, -3.5, 12.5],
        "side": "right",
    }
    assert record["model"] == {"name": "amd_das", "version": "v1", "checksum": "ab" * 32}
    assert record["warnings"] == ["from the reader", "thick slices"]
    assert record["latencies_s"] == {"network": 1.235}
    assert record["image"] == {
        "source": "nifti",
        "shape": [20, 20, 6],
        "spacing_mm": [1.0, 1.0, 5.0],
        "spacing_known": True,
    }
    assert record["software"] == {"name": "amd-das", "version": __version__}
    assert record["notice"] == RESEARCH_NOTICE


def test_values_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json({"volume_ml": float("nan")}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_negative_scan_has_volume_zero_and_no_lesions() -> None:
    volume, segmented = case(empty=True)
    record = result_dict(volume, segmented)
    assert record["volume_ml"] == 0.0
    assert record["lesions"] == []
    row = result_row(record, seconds=1.0)
    assert (row.volume_ml, row.n_lesions, row.largest_ml, row.abc2_ml) == (0.0, 0, None, None)


def test_the_table_has_a_row_per_scan(tmp_path: Path) -> None:
    volume, segmented = case()
    record = result_dict(volume, segmented)
    rows = [
        result_row(record, seconds=2.34567, source="in/case-1.nii.gz"),
        failed_row("bad", 'two\nlines, "quoted"', seconds=0.1, source="in/bad.nii"),
    ]
    path = write_summary(rows, tmp_path / "summary.csv")
    with path.open(newline="") as file:
        good, bad = csv.DictReader(file)
    assert good["case"] == "case-1"
    assert good["status"] == "ok"
    assert float(good["volume_ml"]) == pytest.approx(0.365)
    assert good["n_lesions"] == "2"
    assert float(good["largest_ml"]) == pytest.approx(0.36)
    assert float(good["abc2_ml"]) == record["lesions"][0]["abc2_ml"]
    assert good["warnings"] == "from the reader | thick slices"
    assert good["seconds"] == "2.346"
    assert good["model_version"] == "v1"
    assert (bad["case"], bad["status"], bad["volume_ml"], bad["n_lesions"]) == ("bad", "error", "", "")
    assert bad["error"] == 'two lines, "quoted"'
