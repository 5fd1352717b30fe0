"""TIFF slices: the middle channel, in the order of their numbers, with masks for all."""

from pathlib import Path

import numpy as np
import pytest
from helpers.public_sets import write_lgg
from PIL import Image

from amd_das.datasets import find_cases
from amd_das.datasets.volumes import has_lesion, read_image, read_mask, sha256
from amd_das.errors import GeometryError, TrainingError, UnreadableError
from amd_das.reading import ReadingConfig
from amd_das.slices.cases import PrepareConfig, prepare_case

PATIENT = "TCGA_CS_4941_19960909"


def test_a_patients_slices_are_a_volume_of_flair(tmp_path: Path) -> None:
    data = find_cases(write_lgg(tmp_path), "source")
    (case,) = data.cases
    assert (data.layout.name, case.case, case.patient) == ("tcga-lgg", PATIENT, "TCGA_CS_4941")
    assert [path.name for path in case.series[8:11]] == [f"{PATIENT}_{number}.tif" for number in (9, 10, 11)]
    volume = read_image(case)
    assert (volume.shape, volume.spacing_known) == ((256, 256, 24), False)
    mask = read_mask(case, volume)
    assert np.unique(volume.array[mask]).tolist() == [255]  # the tumour is brightest in FLAIR alone
    assert volume.array[0, 0, 0] == 0
    assert has_lesion(case)
    assert len(sha256(case)) == 64


def test_slices_come_out_as_radiologists_see_them(tmp_path: Path) -> None:
    (case,) = find_cases(write_lgg(tmp_path), "source").cases
    outcome = prepare_case(case, "source", PrepareConfig(source_slices=(0, 154)), labelled=True)
    assert not isinstance(outcome, str), outcome
    assert outcome.labels is not None
    assert not outcome.case.spacing_known
    assert outcome.case.provenance["set"] == "tcga-lgg"
    assert "no voxel size" in outcome.case.provenance["warnings"]
    _, rows, columns = np.nonzero(outcome.labels)
    assert rows.mean() < 119.5  # in front
    assert columns.mean() < 119.5  # at the patient's right


def test_an_incomplete_patient_is_left_out_and_named(tmp_path: Path) -> None:
    place = write_lgg(tmp_path) / "kaggle_3m"
    write_lgg(tmp_path, "TCGA_DU_5849_19950405")
    (place / PATIENT / f"{PATIENT}_7_mask.tif").unlink()
    (place / PATIENT / f"{PATIENT}_9.tif").unlink()
    data = find_cases(place, "source")
    assert [case.case for case in data.cases] == ["TCGA_DU_5849_19950405"]
    assert data.found.problems == (
        f"{PATIENT}: 1 image(s) without a mask: {PATIENT}_7.tif",
        f"{PATIENT}: 1 mask(s) without an image: {PATIENT}_9_mask.tif",
        f"{PATIENT}: 1 slice(s) missing: number 9",
    )
    for path in (place / "TCGA_DU_5849_19950405").glob("*_mask.tif"):
        path.unlink()
    with pytest.raises(TrainingError, match="holds no complete patient"):
        find_cases(place, "source")


def test_pictures_that_are_not_what_they_should_be_are_refused(tmp_path: Path) -> None:
    (case,) = find_cases(write_lgg(tmp_path, mode="L"), "source").cases
    with pytest.raises(UnreadableError, match=r"has 1 channel\(s\); expected FLAIR as number 1"):
        read_image(case)
    (case,) = find_cases(write_lgg(tmp_path / "b"), "source").cases
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(case.series[3])
    with pytest.raises(GeometryError, match="are of 2 sizes"):
        read_image(case)
    case.series[3].write_bytes(b"II*\0 and nothing more")
    with pytest.raises(UnreadableError, match="no readable picture"):
        read_image(case)
    with pytest.raises(Exception, match="max_voxels"):
        read_image(case, ReadingConfig(max_voxels=1000))
