"""CT-ICH as NIfTI and as JPEG: masks of all kinds, of IPH alone where that can be told, and windows undone."""

from pathlib import Path

import numpy as np
import pytest
from helpers.heads import make_head
from helpers.public_sets import write_ct_ich, write_ct_ich_jpg

from amd_das.datasets import find_cases
from amd_das.datasets.ct_ich_jpg import UNDONE
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import ConfigError, TrainingError, UnreadableError
from amd_das.preprocessing import PreprocessConfig
from amd_das.slices.cases import PrepareConfig, prepare_case

ALONE = ["", "", "", "sah", "iph", "iph", "", "", "", ""]
MIXED = ["", "", "", "", "iph", "iph+sdh", "", "", "", ""]
NONE = [""] * 10


def test_scans_masks_and_kinds_of_slices_are_read(tmp_path: Path) -> None:
    data = find_cases(write_ct_ich(tmp_path / "ct-ich-1.3.1", {49: ALONE, 50: NONE}).parent, "target", lesion="any")
    first, second = data.cases
    assert (data.layout.name, first.case, first.lesion) == ("ct-ich", "ct-ich-049", "any")
    assert (first.subtypes, second.subtypes) == ({"iph", "sah"}, frozenset())
    volume = read_image(first)
    np.testing.assert_array_equal(read_mask(first, volume), make_head()[1])


def test_iph_counts_on_slices_where_it_is_alone(tmp_path: Path) -> None:
    data = find_cases(write_ct_ich(tmp_path, {49: ALONE, 51: MIXED}), "target")
    (case,) = data.cases
    assert (case.case, case.lesion) == ("ct-ich-049", "iph")
    mask = read_mask(case, read_image(case))
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [4, 5]
    assert data.found.notes == (
        "1 scan(s) left out, where IPH and another kind share a slice and one mask: ct-ich-051",
    )
    with pytest.raises(TrainingError, match="IPH cannot be told from other hemorrhage in any of the 1 scans"):
        find_cases(write_ct_ich(tmp_path / "b", {51: MIXED}), "target")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write_ct_ich(tmp_path, {49: ALONE, 50: NONE})
    (tmp_path / "masks" / "050.nii").unlink()
    (tmp_path / "ct_scans" / "049.nii").rename(tmp_path / "ct_scans" / "130.nii")
    data = find_cases(tmp_path, "target", lesion="any")
    assert data.found.problems == (
        "1 label(s) without an image: 049; complete the download",
        "2 image(s) without a label: 050, 130; complete the download",
        "1 scan(s) not in hemorrhage_diagnosis_raw_ct.csv: 130",
    )
    (tmp_path / "hemorrhage_diagnosis_raw_ct.csv").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        find_cases(tmp_path, "target")


def test_both_windows_are_undone_to_hu(tmp_path: Path) -> None:
    data = find_cases(write_ct_ich_jpg(tmp_path / "ct-ich-1.0.0", {49: ALONE}).parent, "target")
    (case,) = data.cases
    assert (data.layout.name, case.case, case.lesion) == ("ct-ich-jpg", "ct-ich-049", "iph")
    assert case.provenance == {"set": "ct-ich-jpg", "window": UNDONE}
    volume = read_image(case)
    hu, blood = make_head((200, 220, 10), bleed_x=20)
    assert not volume.spacing_known
    for tissue in (35, 65):
        assert np.median(np.abs(volume.array[hu == tissue] - tissue)) <= 1
    assert abs(np.median(volume.array[hu == 1000]) - 1000) <= 30
    assert np.median(volume.array[hu == -1000]) == pytest.approx(-900)  # where the bone window ends
    mask = read_mask(case, volume)
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [4, 5]
    assert (mask[:, :, 4] != blood[:, :, 4]).sum() < 0.05 * blood[:, :, 4].sum()


def test_undone_pictures_are_head_cts(tmp_path: Path) -> None:
    (case,) = find_cases(write_ct_ich_jpg(tmp_path, {49: ALONE}), "target").cases
    config = PrepareConfig(least_brain_px=500, preprocess=PreprocessConfig(smallest_field_mm=0))
    outcome = prepare_case(case, "target", config, labelled=True)
    assert not isinstance(outcome, str), outcome
    assert outcome.labels is not None
    assert np.median(outcome.images[outcome.images > 0]) == pytest.approx(35 * 2.55, abs=3)
    assert outcome.images[outcome.labels > 0].mean() > 130
    assert UNDONE in outcome.case.provenance["warnings"]


def test_incomplete_pictures_are_said_or_refused(tmp_path: Path) -> None:
    write_ct_ich_jpg(tmp_path, {49: ALONE, 50: NONE, 51: ALONE})
    brain = tmp_path / "Patients_CT" / "049" / "brain"
    (brain / "5_HGE_Seg.jpg").unlink()
    (brain / "4.jpg").unlink()
    data = find_cases(tmp_path, "target", lesion="any")
    assert [case.case for case in data.cases] == ["ct-ich-050", "ct-ich-051"]
    assert data.found.problems == (
        "049: 1 mask(s) without an image: 4",
        "049: 1 slice(s) with hemorrhage without a mask: 5",
        "049: 1 slice(s) of hemorrhage_diagnosis.csv missing: 4",
    )
    data.cases[0].series[0].write_bytes(b"\xff\xd8 no more")
    with pytest.raises(UnreadableError, match="no readable picture"):
        read_image(data.cases[0])


def test_without_the_bone_window_what_is_cut_off_stays_so(tmp_path: Path) -> None:
    write_ct_ich_jpg(tmp_path, {49: ALONE})
    for path in (tmp_path / "Patients_CT" / "049" / "bone").iterdir():
        path.unlink()
    (case,) = find_cases(tmp_path, "target").cases
    array = read_image(case).array
    assert (array.min(), array.max()) == (-1000, 100)
