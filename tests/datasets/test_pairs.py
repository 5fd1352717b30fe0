"""Folders of pairs, under whichever of the usual names."""

from pathlib import Path

import pytest
from helpers.public_sets import write_flair_pair

from amd_das.datasets import find_cases
from amd_das.datasets.volumes import has_lesion
from amd_das.errors import TrainingError


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("imagesTr/p1.nii.gz", "labelsTr/p1.nii.gz"),
        ("images/p1.nii.gz", "masks/p1-glioma.nii.gz"),
        ("images/p1.nii", "labels/p1.nii"),
        ("image/p1.nii.gz", "mask/p1_mask.nii.gz"),
        ("p1.nii.gz", "p1_seg.nii.gz"),
        ("p1.nii.gz", "p1-label.nii.gz"),
    ],
)
def test_each_form_of_pairs_is_found(image: str, mask: str, tmp_path: Path) -> None:
    data = find_cases(write_flair_pair(tmp_path, image, mask), "source")
    (case,) = data.cases
    assert (data.layout.name, case.case, case.image, case.mask) == ("pairs", "p1", tmp_path / image, tmp_path / mask)
    assert has_lesion(case)


def test_what_has_no_counterpart_is_said(tmp_path: Path) -> None:
    write_flair_pair(tmp_path, "a.nii.gz", "a_mask.nii.gz")
    write_flair_pair(tmp_path, "b.nii.gz", "c_mask.nii.gz")
    data = find_cases(tmp_path, "source")
    assert [case.case for case in data.cases] == ["a"]
    assert data.found.problems == ("1 label(s) without an image: c", "1 image(s) without a label: b")
    (tmp_path / "a_mask.nii.gz").unlink()
    with pytest.raises(TrainingError, match="none of the 2 images"):
        find_cases(tmp_path, "source")
