"""RSNA's slices: series put together from headers, kinds from the table, HU from stored values of both sorts."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.heads import make_head
from helpers.public_sets import write_rsna

from amd_das.datasets import find_cases
from amd_das.datasets.registry import select
from amd_das.datasets.volumes import read_image
from amd_das.errors import ConfigError, TrainingError
from amd_das.slices.cases import PrepareConfig, prepare_case

IPH = "intraparenchymal"
BLEED = ["", "", "", "", IPH, f"{IPH}+subdural", "", "", "", ""]


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    """Two series: a bleed on two of ten slices, and a head without."""
    return write_rsna(tmp_path / "rsna-intracranial-hemorrhage-detection", {"a1b2c": BLEED, "d3e4f": [""] * 10})


def test_series_are_put_together_in_the_order_of_positions(rsna: Path) -> None:
    data = find_cases(rsna.parent, "target")
    assert (data.layout.name, data.found.problems) == ("rsna", ())
    assert data.found.notes == ("20 slices put together to 2 series",)
    assert "2 cases of 2 patients, IPH 1, SDH 1, none 1" in data.summary()
    bleed = next(case for case in data.cases if case.subtypes)
    assert bleed.subtypes == {"iph", "sdh"}
    assert [bleed.slice_subtypes[path.stem] for path in bleed.series[3:6]] == [set(), {"iph"}, {"iph", "sdh"}]
    assert bleed.patient == "ID_pa1b2c"
    volume = read_image(bleed)
    inside = make_head()[0] > -1000
    np.testing.assert_array_equal(volume.array[inside], make_head()[0][inside])
    assert volume.array.min() == -1024  # the padding of -2000


def test_made_up_uids_are_not_warned_of(rsna: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Invalid value for VR UI")
        assert read_image(find_cases(rsna, "target").cases[0]).shape == (96, 110, 10)


def test_wrapped_twelve_bit_values_are_air_again(tmp_path: Path) -> None:
    (case,) = find_cases(write_rsna(tmp_path, {"a1b2c": BLEED}, wrapped=True), "target").cases
    np.testing.assert_array_equal(read_image(case).array, make_head()[0])


def test_only_slices_of_one_kind_are_taken(rsna: Path) -> None:
    data = select(find_cases(rsna, "target"), "iph")
    (case,) = data.cases
    config = PrepareConfig(subtype="iph", least_brain_px=500)
    outcome = prepare_case(case, "target", config, labelled=False)
    assert not isinstance(outcome, str), outcome
    assert outcome.case.numbers == (4, 5)
    assert outcome.case.provenance["subtypes"] == "iph,sdh"
    assert config.record("target")["subtype"] == "iph"
    assert "is labelled EDH" in str(prepare_case(case, "target", PrepareConfig(subtype="edh"), labelled=False))
    with pytest.raises(TrainingError, match=r"nothing is selected: none of 2 cases shows EDH \(2 cases"):
        select(find_cases(rsna, "target"), "edh")


def test_what_is_missing_broken_or_unlabelled_is_said(rsna: Path) -> None:
    images = sorted((rsna / "stage_2_train").iterdir())
    images[0].unlink()
    images[1].write_bytes(b"broken")
    images[2].rename(images[2].with_name("ID_unknown.dcm"))
    data = find_cases(rsna, "target")
    assert len(data.cases) == 2
    assert data.found.problems == (
        f"1 file(s) cannot be read: {images[1].stem}; they are left out",
        "1 image(s) without a label in stage_2_train.csv: ID_unknown",
        "2 of the 20 images of stage_2_train.csv are missing; complete the download",
    )
    for path in (rsna / "stage_2_train").iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match=r"none of the 20 images of stage_2_train\.csv is in"):
        find_cases(rsna, "target")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,Label\nID_1_any,0\n", "lacks the column"),
        ("ID,Label\nID_1_bleeding,0\n", "expected ID_<image>_<kind>"),
        ("ID,Label\nID_1_any,0.5\n", "0 or 1"),
        ("", "lacks the column"),
    ],
)
def test_another_table_is_refused(content: str, message: str, rsna: Path) -> None:
    (rsna / "stage_2_train.csv").write_text(content)
    with pytest.raises(ConfigError, match=message):
        find_cases(rsna, "target")


def test_the_table_alone_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "stage_2_train.csv").write_text("ID,Label\nID_1_any,0\n")
    with pytest.raises(TrainingError, match=r"lacks RSNA's stage_2_train\.csv or stage_2_train/"):
        find_cases(tmp_path, "target")
