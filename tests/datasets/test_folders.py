"""Cases found in folders: what belongs together, and nothing about a patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.flairs import save, write_decathlon
from helpers.heads import write_head
from pydicom.dataset import Dataset

from amd_das.datasets import CaseFiles, at_hand, head_cts, labelled_mri
from amd_das.errors import NotFoundError, TrainingError, UnreadableError

PIXELS = np.zeros((4, 4, 2), np.int16)


def test_the_decathlon_pairs_images_and_labels_by_name(tmp_path: Path) -> None:
    write_decathlon(tmp_path, "BRATS_002", "BRATS_001")
    (tmp_path / "imagesTr" / "._BRATS_001.nii.gz").write_bytes(b"left by a Mac")
    (tmp_path / "labelsTr" / "BRATS_002.nii.gz").unlink()
    first, second = labelled_mri(tmp_path)
    assert first == CaseFiles(
        case="BRATS_001",
        patient="BRATS_001",
        image=tmp_path / "imagesTr" / "BRATS_001.nii.gz",
        mask=tmp_path / "labelsTr" / "BRATS_001.nii.gz",
    )
    assert (second.case, second.mask) == ("BRATS_002", None)


@pytest.mark.parametrize("name", ["p-1-glioma.nii.gz", "p-1.nii.gz", "p-1-glioma.nrrd"])
def test_our_phantom_has_masks_by_kind(name: str, tmp_path: Path) -> None:
    save(PIXELS, tmp_path / "images" / "p-1.nii.gz")
    save(PIXELS, tmp_path / "masks" / "p-10-glioma.nii.gz")
    mask = tmp_path / "masks" / name
    mask.write_bytes(b"found by its name")
    assert [(files.case, files.mask) for files in labelled_mri(tmp_path)] == [("p-1", mask)]


def test_folders_without_labelled_mri_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="expected imagesTr/ with labelsTr/ or images/ with masks/"):
        labelled_mri(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(UnreadableError, match="holds no image"):
        labelled_mri(tmp_path)
    write_series(tmp_path / "images", PIXELS)
    with pytest.raises(TrainingError, match="DICOM only; convert MRI to NIfTI"):
        labelled_mri(tmp_path)


def test_head_cts_are_found_in_any_format_without_masks(tmp_path: Path) -> None:
    save(PIXELS, tmp_path / "images" / "a.nii.gz")
    write_series(tmp_path / "images" / "b", PIXELS)
    save(PIXELS, tmp_path / "masks" / "a-iph.nii.gz")
    one, series = head_cts(tmp_path)
    assert (one.case, one.patient, one.mask, one.series) == ("a", "a", None, ())
    assert series.case.startswith("series-")
    assert (series.image, len(series.series), series.mask) == (tmp_path / "images" / "b", 2, None)


def test_labels_that_a_server_saved_beside_its_scans_are_no_scans(tmp_path: Path) -> None:
    write_head(tmp_path / "scan.nii.gz")
    (tmp_path / "labels" / "final").mkdir(parents=True)
    write_head(tmp_path / "labels" / "final" / "scan.nii.gz")
    assert [files.image for files in head_cts(tmp_path)] == [tmp_path / "scan.nii.gz"]


def test_masks_of_head_cts_go_by_case_or_by_the_folder_of_a_series(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    save(PIXELS, tmp_path / "a.nii.gz")
    write_series(tmp_path / "b", PIXELS)
    wanted = {save(PIXELS, masks / "a-iph.nii.gz"), save(PIXELS, masks / "b.nii.gz")}
    save(PIXELS, masks / "a-sdh.nii.gz")
    assert {files.mask for files in head_cts(tmp_path, masks)} == wanted
    with pytest.raises(NotFoundError, match="no folder; expected masks"):
        head_cts(tmp_path, tmp_path / "elsewhere")


def test_series_of_one_patient_share_a_name_that_is_not_his(tmp_path: Path) -> None:
    def of(patient: str, folder: str) -> None:
        def change(_: int, dataset: Dataset) -> None:
            dataset.PatientID = patient

        write_series(tmp_path / folder, PIXELS, change=change)

    for folder, patient in (("a", "4711"), ("b", "4711"), ("c", "0815"), ("d", ""), ("e", "")):
        of(patient, folder)
    cases = {files.image.name: files for files in head_cts(tmp_path)}
    assert cases["a"].patient == cases["b"].patient == min(cases["a"].case, cases["b"].case)
    assert [cases[name].patient for name in "cde"] == [cases[name].case for name in "cde"]


@dataclass
class Elsewhere:
    """A series that is written when it is asked for."""

    stamp: str = "one"

    def fetch(self, folder: Path) -> Sequence[Path]:
        return sorted(write_series(folder, PIXELS).iterdir())


def test_a_series_that_lies_elsewhere_is_fetched_and_removed_again() -> None:
    files = CaseFiles(case="far", patient="far", image=Path("far"), remote=Elsewhere())
    with at_hand(files) as here:
        assert (here.case, here.patient, here.remote) == ("far", "far", None)
        assert len(here.series) == PIXELS.shape[2]
        assert all(path.is_file() and path.parent == here.image for path in here.series)
    assert not here.image.exists()


def test_what_is_here_stays(tmp_path: Path) -> None:
    path = write_head(tmp_path / "head.nii.gz")
    files = CaseFiles(case="head", patient="head", image=path)
    with at_hand(files) as here:
        assert here == files
    assert path.is_file()
