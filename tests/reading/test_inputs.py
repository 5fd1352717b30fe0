"""What is found under the paths a user gives."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_series import SECONDARY_CAPTURE, ct_slice, save, write_series

from amd_das.errors import GeometryError, NotFoundError, NotHeadCtError, UnreadableError
from amd_das.reading import find_inputs, read_volume


def nifti(path: Path, hu: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([-0.5, -0.5, 5, 1])), path)
    return path


def test_a_folder_of_files_and_series(tmp_path: Path, hu: np.ndarray) -> None:
    nifti(tmp_path / "b.nii.gz", hu)
    nifti(tmp_path / "deep" / "er" / "a.nii", hu)
    nifti(tmp_path / ".hidden" / "c.nii", hu)
    (tmp_path / "notes.txt").write_text("not an image")
    write_series(tmp_path / "study" / "one", hu, series_uid="1.2.3.111")
    write_series(tmp_path / "study" / "two", hu[:, :, :4], series_uid="1.2.3.222")
    found = find_inputs([tmp_path])
    assert [(one.kind, one.path.relative_to(tmp_path).as_posix(), len(one.files)) for one in found] == [
        ("nifti", "b.nii.gz", 1),
        ("nifti", "deep/er/a.nii", 1),
        ("dicom", "study/one", 6),
        ("dicom", "study/two", 4),
    ]
    assert [read_volume(one).shape[2] for one in found] == [6, 6, 6, 4]
    assert [read_volume(one).case_id for one in found] == [one.case_id for one in found]


def test_several_series_in_one_folder_are_separate_inputs_and_no_single_volume(tmp_path: Path, hu: np.ndarray) -> None:
    write_series(tmp_path / "x", hu, series_uid="1.2.3.11111111")
    write_series(tmp_path / "y", hu[:, :, :4] // 2, series_uid="1.2.3.22222222")
    for path in (tmp_path / "y").iterdir():
        path.rename(tmp_path / "x" / f"y{path.name}")
    found = find_inputs([tmp_path / "x"])
    np.testing.assert_array_equal(read_volume(found[0]).array, hu)
    np.testing.assert_array_equal(read_volume(found[1]).array, hu[:, :, :4] // 2)
    with pytest.raises(
        GeometryError, match=r"x holds 2 images.*6 CT slice\(s\), .*…11111111; 4 CT slice\(s\), .*…22222222.*own"
    ) as caught:
        read_volume(tmp_path / "x")
    assert "Doe" not in str(caught.value) and "PAT-4711" not in str(caught.value)


def test_a_series_spread_over_folders_is_one_input(tmp_path: Path, hu: np.ndarray) -> None:
    """Half a head must never be taken for a whole one."""
    write_series(tmp_path / "a", hu, series_uid="1.2.3")
    (tmp_path / "b").mkdir()
    for path in sorted((tmp_path / "a").iterdir())[3:]:
        path.rename(tmp_path / "b" / path.name)
    assert [len(one.files) for one in find_inputs([tmp_path])] == [6]
    assert [len(one.files) for one in find_inputs([tmp_path / "a", tmp_path / "b"])] == [6]
    np.testing.assert_array_equal(read_volume(tmp_path).array, hu)


def test_slices_named_one_by_one_are_one_series(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu)
    found = find_inputs([*folder.iterdir(), folder])
    assert [len(one.files) for one in found] == [6]
    assert found[0].description.startswith("6 CT slice(s)")
    np.testing.assert_array_equal(read_volume(found[0]).array, hu)


def test_localizers_and_captures_are_left_out(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu, series_uid="1.2.3")
    scout = ct_slice(np.zeros((50, 20)), series_uid="1.2.3")
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(scout, folder / "scout.dcm")
    dose = ct_slice(np.zeros((50, 20)), series_uid="1.2.4")
    dose.SOPClassUID = SECONDARY_CAPTURE
    save(dose, folder / "dose")
    report = ct_slice(np.zeros((50, 20)), series_uid="1.2.5")
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.67", "SR"
    del report.Rows, report.PixelData
    save(report, folder / "report.dcm")
    np.testing.assert_array_equal(read_volume(folder).array, hu)
    with pytest.raises(NotHeadCtError, match=r"dose holds no CT slices, only 1 secondary capture\(s\)"):
        read_volume(folder / "dose")


def test_dicom_is_known_without_a_suffix(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu)
    for index, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"1.2.840.{index}")
    np.testing.assert_array_equal(read_volume(folder).array, hu)


def test_masks_beside_images_are_passed_over_unless_named(tmp_path: Path, hu: np.ndarray) -> None:
    nifti(tmp_path / "case.nii.gz", hu)
    mask = nifti(tmp_path / "case_mask.nii.gz", hu)
    assert [one.case_id for one in find_inputs([tmp_path])] == ["case"]
    assert [one.case_id for one in find_inputs([mask])] == ["case_mask"]


def test_case_ids_are_unique_and_fit_for_file_names(tmp_path: Path, hu: np.ndarray) -> None:
    nifti(tmp_path / "a" / "ct.nii.gz", hu)
    nifti(tmp_path / "b" / "ct.nii", hu)
    nifti(tmp_path / "c" / "über den fluss.v2.nii.gz", hu)
    nifti(tmp_path / "d" / "ü.nii.gz", hu)
    found = find_inputs([tmp_path, tmp_path / "a"])
    assert [one.case_id for one in found] == ["ct", "ct-2", "ber_den_fluss.v2", "image"]


def test_what_cannot_be_found_or_known(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist; expected"):
        find_inputs([tmp_path / "missing.nii.gz"])
    with pytest.raises(NotFoundError):
        read_volume(tmp_path / "missing.nii.gz")
    with pytest.raises(UnreadableError, match="holds no image"):
        read_volume(tmp_path)
    (tmp_path / "brain.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UnreadableError, match=r"the suffix '.jpg' is no format this can read; expected .nii"):
        read_volume(tmp_path / "brain.jpg")
    (tmp_path / "upload").write_bytes(b"")
    with pytest.raises(UnreadableError, match="a file without suffix"):
        read_volume(tmp_path / "upload")
    with pytest.raises(UnreadableError, match="holds no image"):
        read_volume(tmp_path)


def test_a_folder_may_be_read_where_it_holds_one_file(tmp_path: Path, hu: np.ndarray) -> None:
    shutil.copy(nifti(tmp_path / "x.nii.gz", hu), tmp_path / "y.nii.gz")
    with pytest.raises(GeometryError, match=r"holds 2 images, expected one: nifti file x.nii.gz; nifti file y.nii.gz"):
        read_volume(tmp_path)
    (tmp_path / "y.nii.gz").unlink()
    np.testing.assert_array_equal(read_volume(str(tmp_path)).array, hu)
