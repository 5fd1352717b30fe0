"""Labelled scans and their patients: in a server's studies, in other folders, as DICOM."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_series import save
from helpers.heads import AFFINE, make_head
from helpers.running_orthanc import head_series
from helpers.tiny_fine_tuning import write_labelled

from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import ConfigError, NotFoundError, PacsUnreachableError, TrainingError
from amd_das.fine_tuning.cases import LabelledCase, NothingLabelled, check_labels, labelled_cases, people_of
from amd_das.pacs.config import PacsConfig


def names(cases: list[LabelledCase]) -> list[str]:
    return [one.files.case for one in cases]


def test_final_labels_of_a_servers_studies_are_found_and_drafts_are_not(tmp_path: Path) -> None:
    for name in ("b", "a", "unlabelled", "draft"):
        write_labelled(tmp_path, name)
    final = tmp_path / "labels" / "final"
    (final / "unlabelled.nii.gz").unlink()
    (tmp_path / "labels" / "draft").mkdir()
    (final / "draft.nii.gz").rename(tmp_path / "labels" / "draft" / "draft.nii.gz")
    (final / "of_no_scan.nii.gz").write_bytes((final / "a.nii.gz").read_bytes())
    cases = labelled_cases(tmp_path)
    assert names(cases) == ["a", "b"]
    assert cases[0].keys == ("case a",)
    volume = read_image(cases[0].files)
    assert read_mask(cases[0].files, volume).sum() == make_head()[1].sum()


@pytest.mark.parametrize("ending", ["-iph.nii.gz", ".nii.gz"])
def test_images_and_masks_will_do_as_well(tmp_path: Path, ending: str) -> None:
    write_labelled(tmp_path / "studies", "head")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "studies" / "head.nii.gz").rename(tmp_path / "images" / "head.nii.gz")
    (tmp_path / "studies" / "labels" / "final" / "head.nii.gz").rename(tmp_path / "masks" / f"head{ending}")
    assert names(labelled_cases(tmp_path)) == ["head"]
    with pytest.raises(NothingLabelled):
        labelled_cases(tmp_path, submitted=True)


def test_a_public_data_set_must_tell_intraparenchymal_hemorrhage(tmp_path: Path) -> None:
    write_labelled(tmp_path, "001")
    (tmp_path / "data").mkdir()
    (tmp_path / "001.nii.gz").rename(tmp_path / "data" / "001.nii.gz")
    (tmp_path / "labels" / "final").rename(tmp_path / "label")
    with pytest.raises(ConfigError, match="masks of INSTANCE 2022 cannot tell IPH"):
        labelled_cases(tmp_path)


def test_nothing_labelled_says_what_to_do(tmp_path: Path) -> None:
    scan = write_labelled(tmp_path, "head")
    (tmp_path / "labels" / "final" / "head.nii.gz").unlink()
    with pytest.raises(NothingLabelled, match=r"no scan in .* has a final label, .* labels/final/SCAN\.nii\.gz"):
        labelled_cases(tmp_path)
    (tmp_path / "labels" / "final").rmdir()
    (tmp_path / "labels").rmdir()
    with pytest.raises(NothingLabelled):
        labelled_cases(tmp_path)
    with pytest.raises(NotFoundError, match="no folder"):
        labelled_cases(scan)
    with pytest.raises(PacsUnreachableError):
        labelled_cases(PacsConfig(url="http://127.0.0.1:9/dicom-web"))


def test_labels_are_read_before_work_starts(tmp_path: Path) -> None:
    write_labelled(tmp_path, "clear", bleed_x=None)
    with pytest.raises(TrainingError, match=r"all 1 labels are empty: .* label one"):
        check_labels(labelled_cases(tmp_path))
    write_labelled(tmp_path, "bleed")
    check_labels(labelled_cases(tmp_path))
    for name in ("x", "y"):
        write_labelled(tmp_path, name)
        (tmp_path / "labels" / "final" / f"{name}.nii.gz").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"2 of 4 labels cannot be read; .*\. x: .*y: "):
        check_labels(labelled_cases(tmp_path))


def test_a_stamp_changes_with_scan_and_label(tmp_path: Path) -> None:
    scan = write_labelled(tmp_path, "head")
    label = tmp_path / "labels" / "final" / "head.nii.gz"
    seen = [labelled_cases(tmp_path)[0].stamp]
    for path in (scan, label):
        os.utime(path, ns=(1, 1))
        seen.append(labelled_cases(tmp_path)[0].stamp)
    assert len({str(stamp) for stamp in seen}) == 3


def test_dicom_series_of_one_patient_are_one_person(tmp_path: Path) -> None:
    for name, patient, bleed_x in (("one", "4711", 10.0), ("two", "4711", -10.0), ("three", "4712", 12.0)):
        for number, dataset in enumerate(head_series(bleed_x=bleed_x, patient_id=patient)):
            save(dataset, tmp_path / "images" / name / f"{number}.dcm")
        label = nibabel.Nifti1Image(make_head(bleed_x=bleed_x)[1].astype(np.uint8), AFFINE)
        (tmp_path / "masks").mkdir(exist_ok=True)
        nibabel.save(label, tmp_path / "masks" / f"{name}.nii.gz")
    cases = labelled_cases(tmp_path)
    assert len(cases) == 3
    people = people_of(cases, [False, True, False])
    assert sorted(len(members) for _, members in people) == [1, 2]
    for person, members in people:
        assert person.bleeds is (1 in members)
        assert {key for number in members for key in cases[number].keys} == set(person.keys)
        assert any(key.startswith("PatientID 471") for key in person.keys)


def test_cases_that_share_any_name_are_one_persons() -> None:
    def case(*keys: str) -> LabelledCase:
        return LabelledCase(files=None, keys=keys)  # type: ignore[arg-type]

    people = people_of([case("a", "1"), case("b", "2"), case("c", "3"), case("1", "2")], [False] * 4)
    assert sorted(sorted(members) for _, members in people) == [[0, 1, 3], [2]]
