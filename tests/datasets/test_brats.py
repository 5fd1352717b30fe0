"""BraTS of every year: names, patients with several scans, and labels that are missing."""

from pathlib import Path

import numpy as np
import pytest
from helpers.flairs import make_flair
from helpers.public_sets import write_brats

from amd_das.datasets import find_cases
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import TrainingError


@pytest.mark.parametrize(
    ("place", "case", "between", "flair", "seg"),
    [
        ("MICCAI_BraTS_2018_Data_Training/HGG", "Brats18_2013_10_1", "_", "flair", "seg"),
        ("MICCAI_BraTS_2019_Data_Training/LGG", "BraTS19_TCIA09_141_1", "_", "flair", "seg"),
        ("MICCAI_BraTS2020_TrainingData", "BraTS20_Training_001", "_", "flair", "seg"),
        ("BraTS2021_Training_Data", "BraTS2021_00000", "_", "flair", "seg"),
        ("ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData", "BraTS-GLI-00000-000", "-", "t2f", "seg"),
    ],
)
def test_each_years_names_are_read(place: str, case: str, between: str, flair: str, seg: str, tmp_path: Path) -> None:
    write_brats(tmp_path / place, case, between=between, flair=flair, seg=seg)
    data = find_cases(tmp_path, "source")
    (found,) = data.cases
    assert (data.layout.name, found.case, data.found.problems) == ("brats", case, ())
    image, mask = make_flair()
    volume = read_image(found)
    np.testing.assert_array_equal(volume.array, image)
    np.testing.assert_array_equal(read_mask(found, volume), mask > 0)


def test_scans_of_one_patient_in_2023_belong_together(tmp_path: Path) -> None:
    for case in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-GLI-00006-000"):
        write_brats(tmp_path, case, between="-", flair="t2f")
    assert [case.patient for case in find_cases(tmp_path, "source").cases] == [
        "BraTS-GLI-00005",
        "BraTS-GLI-00005",
        "BraTS-GLI-00006",
    ]


def test_the_label_of_case_355_has_a_name_of_its_own(tmp_path: Path) -> None:
    write_brats(tmp_path, "BraTS20_Training_355", seg="")
    place = tmp_path / "BraTS20_Training_355"
    (place / "BraTS20_Training_355_t1.nii.gz").rename(place / "W39_1998.09.19_Segm.nii.gz")
    (found,) = find_cases(tmp_path, "source").cases
    assert found.mask == place / "W39_1998.09.19_Segm.nii.gz"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write_brats(tmp_path, "BraTS2021_00001")
    write_brats(tmp_path, "BraTS2021_00002", seg="")
    write_brats(tmp_path, "BraTS2021_00003")
    (tmp_path / "BraTS2021_00003" / "BraTS2021_00003_flair.nii.gz").unlink()
    data = find_cases(tmp_path, "source")
    assert [case.case for case in data.cases] == ["BraTS2021_00001"]
    assert data.found.problems == (
        "1 image(s) without a label: BraTS2021_00002; they are left out",
        "1 case(s) without FLAIR: BraTS2021_00003; complete the download",
    )
    (tmp_path / "BraTS2021_00001" / "BraTS2021_00001_seg.nii.gz").unlink()
    with pytest.raises(TrainingError, match="the training archive, not the validation one"):
        find_cases(tmp_path, "source")
