"""BHSD, INSTANCE 2022 and HemSeg-200: which voxels are which hemorrhage, patients, parts."""

from pathlib import Path

import pytest
from helpers.heads import make_head
from helpers.public_sets import write_bhsd, write_pairs

from amd_das.datasets import find_cases
from amd_das.datasets.registry import check_official_split
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import ConfigError, TrainingError

BHSD = ("ID_0237f3c9_ID_40015688b9", "ID_0237f3c9_ID_1fa1d20bba", "ID_b1d5d5e8_ID_4cfa36b63f")
STUDY, OTHER = "62ac06d17d", "3da7967508"


def test_of_bhsds_five_classes_iph_is_the_second(tmp_path: Path) -> None:
    write_bhsd(tmp_path, *BHSD)
    data = find_cases(tmp_path, "target")
    assert (data.layout.name, [case.patient for case in data.cases]) == (
        "bhsd",
        ["ID_0237f3c9", "ID_0237f3c9", "ID_b1d5d5e8"],
    )
    case, (every, *_) = data.cases[0], find_cases(tmp_path, "target", lesion="any").cases
    blood = make_head()[1]
    assert (read_mask(case, read_image(case)) == blood).all()
    assert (case.lesion, every.lesion) == ("iph", "any")
    assert read_mask(every, read_image(every)).sum() == blood.sum() + 6 * 6 * 2


def test_bhsd_without_a_truth_says_so(tmp_path: Path) -> None:
    write_bhsd(tmp_path, *BHSD)
    (tmp_path / "label_192" / "ground truths" / f"{BHSD[2]}.nii.gz").unlink()
    assert find_cases(tmp_path, "target").found.problems == (
        f"1 image(s) without a label: {BHSD[2]}; complete the download",
    )


def test_a_patient_in_two_parts_of_an_official_split_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, "imagesTr", "labelsTr", BHSD[0])
    write_pairs(tmp_path, "imagesTs", "labelsTs", BHSD[2])
    data = find_cases(tmp_path, "target")
    assert (data.layout.name, [case.split for case in data.cases]) == ("bhsd", ["train", "test"])
    check_official_split(data.cases)
    write_pairs(tmp_path, "imagesTs", "labelsTs", BHSD[1])
    with pytest.raises(TrainingError, match=r"1 patient\(s\) are in two parts of the set's own split: ID_0237f3c9"):
        check_official_split(find_cases(tmp_path, "target").cases)


def test_instance22_shows_any_hemorrhage_and_is_refused_as_iph(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train_2", "data", "label", "001", "002")
    data = find_cases(tmp_path, "target")
    assert (data.layout.name, [case.case for case in data.cases]) == (
        "instance22",
        ["instance22-001", "instance22-002"],
    )
    assert {case.lesion for case in data.cases} == {"any"}
    assert data.found.notes == ("masks show hemorrhage of any kind, not IPH alone",)
    with pytest.raises(ConfigError, match=r"INSTANCE 2022 cannot tell IPH: .* Use --lesion any"):
        find_cases(tmp_path, "target", lesion="iph")
    with pytest.raises(TrainingError, match="comes without a division"):
        check_official_split(data.cases)
    for path in (tmp_path / "train_2" / "label").iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match=r"no scan in .* has a mask"):
        find_cases(tmp_path, "target")


def test_hemseg_is_read_with_and_without_its_parts(tmp_path: Path) -> None:
    write_pairs(tmp_path / "whole", "image", "label", STUDY, OTHER)
    data = find_cases(tmp_path / "whole", "target")
    assert (data.layout.name, [case.split for case in data.cases]) == ("hemseg-200", ["", ""])
    for part, name in (("train", STUDY), ("val", OTHER), ("test", "03e92a47d9")):
        write_pairs(tmp_path / "parts" / part, "image", "label", name)
    cases = find_cases(tmp_path / "parts", "target").cases
    assert [(case.case, case.split) for case in cases] == [
        (STUDY, "train"),
        (OTHER, "validation"),
        ("03e92a47d9", "test"),
    ]
    with pytest.raises(ConfigError, match="HemSeg-200 cannot tell IPH"):
        find_cases(tmp_path / "parts", "target", lesion="iph")
    (tmp_path / "whole" / "image" / f"{STUDY}.nii.gz").unlink()
    assert find_cases(tmp_path / "whole", "target").found.problems == (
        f"1 label(s) without an image: {STUDY}; complete the download",
    )
