"""CQ500: the plain series of each scan, and what most readers saw."""

from pathlib import Path

import pytest
from helpers.public_sets import write_cq500

from amd_das.datasets import find_cases
from amd_das.datasets.volumes import read_image
from amd_das.errors import ConfigError, TrainingError


@pytest.fixture
def cq500(tmp_path: Path) -> Path:
    """Three scans, the last with nothing but contrast."""
    series = {0: ["CT PLAIN THIN", "CT Plain", "CT POST CONTRAST"], 7: ["CT PRE CONTRAST 5MM STD"], 12: ["CT C THIN"]}
    return write_cq500(tmp_path, series, {0: "110", 7: "100", 12: "000", 99: "000"})


def test_one_plain_series_of_each_scan_with_what_most_saw(cq500: Path) -> None:
    data = find_cases(cq500, "target")
    assert (data.layout.name, data.layout.lesions) == ("cq500", ())
    found = {case.case: (case.provenance["series"], case.subtypes) for case in data.cases}
    assert found == {"CQ500CT0": ("CT Plain", {"iph"}), "CQ500CT7": ("CT PRE CONTRAST 5MM STD", frozenset())}
    assert data.found.problems == (
        "1 scan(s) without a plain series of 12 slices: CQ500CT12",
        "1 scan(s) of reads.csv are missing: CQ500CT99",
    )
    assert read_image(data.cases[0]).shape == (48, 55, 12)


def test_without_reads_nothing_is_known_of_kinds(cq500: Path) -> None:
    (cq500 / "reads.csv").rename(cq500 / "else.csv")
    data = find_cases(cq500, "target")
    assert [case.subtypes for case in data.cases] == [None, None]
    assert data.found.notes[1].startswith("no reads.csv there")
    (cq500 / "reads.csv").write_text("name,Category\nCQ500-CT-0,B1\n")
    with pytest.raises(ConfigError, match=r"lacks the column\(s\) R1:IPH, R1:IVH, R1:SDH and 12 more"):
        find_cases(cq500, "target")


def test_a_set_without_plain_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no plain head CT of CQ500 \(1 scans without one\)"):
        find_cases(write_cq500(tmp_path / "qct01", {3: ["CT POST CONTRAST"]}).parent, "target")
