"""A set as plain files: what is read again is what was found."""

import csv
from pathlib import Path

import numpy as np
import pytest
from helpers.heads import make_head
from helpers.public_sets import write_bhsd, write_rsna

from amd_das.datasets import find_cases, head_cts
from amd_das.datasets.export import export
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import TrainingError

NAME = "ID_0237f3c9_ID_40015688b9"


def test_exported_scans_and_masks_are_read_again(tmp_path: Path) -> None:
    data = find_cases(write_bhsd(tmp_path, NAME), "target")
    told: list[tuple[int, int, str]] = []
    assert export(data, tmp_path / "out", lambda *args: told.append(args)) == {}
    assert told == [(1, 1, NAME)]
    (case,) = head_cts(tmp_path / "out", tmp_path / "out" / "masks")
    hu, blood = make_head()
    volume = read_image(case)
    np.testing.assert_array_equal(volume.array, np.maximum(hu, -1024))
    np.testing.assert_array_equal(read_mask(case, volume), blood)
    (row,) = csv.DictReader((tmp_path / "out" / "cases.csv").open())
    assert (row["case"], row["patient"], row["lesion"], row["subtypes"]) == (NAME, "ID_0237f3c9", "iph", "iph;sdh")
    assert float(row["mask_ml"]) == pytest.approx(blood.sum() * 0.032, abs=1e-3)


def test_a_case_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    data = find_cases(write_rsna(tmp_path, {"a1b2c": [""] * 10, "d3e4f": [""] * 10}), "target")
    data.cases[0].series[4].unlink()
    data.cases[0].series[4].write_bytes(b"")
    assert list(export(data, tmp_path / "out")) == [data.cases[0].case]
    assert [case.case for case in head_cts(tmp_path / "out" / "images")] == [data.cases[1].case]
    data.cases[1].series[4].write_bytes(b"")
    with pytest.raises(TrainingError, match="none of 2 cases could be exported"):
        export(data, tmp_path / "out")
