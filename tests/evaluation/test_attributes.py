"""Subtypes and scanners, from a table or the images' own files."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.labelled_sets import write_set
from pydicom import Dataset

from amd_das.errors import UnreadableError
from amd_das.evaluation.attributes import CLASSES, read_table, scanner_of, volume_class
from amd_das.reading import find_inputs


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cases.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_a_scan_can_bear_several_subtypes_none_or_nobody_knows(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "Case,Subtypes,scanner\na,IPH;ivh,A\nb,none,\nc,,B\n"))
    assert found["a"].subtype_names == ("iph", "ivh") and found["a"].scanner == "A"
    assert found["b"].subtype_names == ("none",)
    assert found["c"].subtype_names == () and found["c"].scanner == "B"


def test_subtypes_can_have_a_column_each(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "case,iph,sah,manufacturer,model\na,1,0,Maker,One\nb,0,0,Maker,\n"))
    assert found["a"].subtype_names == ("iph",) and found["a"].scanner == "Maker One"
    assert found["b"].subtype_names == ("none",) and found["b"].scanner == "Maker"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,subtypes\na,iph\n", "columns name, subtypes; expected one called case"),
        ("", "columns nothing"),
        ("case,subtypes\na,stroke\n", "subtype 'stroke'; expected edh, iph"),
        ("case,iph\na,maybe\n", "iph = 'maybe'; expected 0 or 1"),
        ("case,subtypes\na,iph\na,sah\n", "lists the case a twice"),
    ],
)
def test_a_table_that_is_not_understood_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        read_table(table(tmp_path, text))


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_bytes(b"\xff\xfe\x00case")
    with pytest.raises(UnreadableError, match="cannot be read as CSV"):
        read_table(tmp_path / "cases.csv")


def test_the_scanner_is_read_from_dicom(tmp_path: Path) -> None:
    def name(index: int, dataset: Dataset) -> None:
        dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "One"

    folder = write_series(tmp_path / "series", np.zeros((8, 8, 3), np.int16), change=name)
    assert scanner_of(find_inputs([folder])[0]) == "Maker One"


def test_the_scanner_is_read_from_the_json_beside_nifti(tmp_path: Path) -> None:
    write_set(tmp_path, {"a": 1})
    (image,) = find_inputs([tmp_path])
    assert scanner_of(image) == ""
    for content, expected in (
        (json.dumps({"Manufacturer": "Maker", "ManufacturersModelName": "Two"}), "Maker Two"),
        (json.dumps({"Manufacturer": 3}), ""),
        ("[]", ""),
        ("{", ""),
    ):
        (tmp_path / "a.json").write_text(content)
        assert scanner_of(image) == expected


def test_classes_of_volume_have_no_gaps() -> None:
    assert CLASSES == ("no bleed", "< 5 mL", "5 to 30 mL", "30 to 60 mL", "≥ 60 mL")
    assert [volume_class(ml) for ml in (0, 0.1, 5, 29.9, 30, 60, 500)] == [
        "no bleed",
        "< 5 mL",
        "5 to 30 mL",
        "5 to 30 mL",
        "30 to 60 mL",
        "≥ 60 mL",
        "≥ 60 mL",
    ]
