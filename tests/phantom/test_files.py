"""Phantoms on disk: NIfTI and DICOM say the same, masks lie on the image's grid, bytes follow the seed."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from amd_das.errors import ConfigError
from amd_das.phantom import files
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.ct import make_ct
from amd_das.phantom.files import dicom_slices, write_cases
from amd_das.phantom.scanner import Scanner
from amd_das.reading import read_volume

TILTED = Scanner(matrix=64, pixel_mm=3.6, slice_mm=10.0, tilt_deg=15, subslices=1)


@pytest.fixture(scope="module")
def tilted() -> PhantomCase:
    return make_ct(3, scanner=TILTED)


def test_nifti_image_mask_and_record_agree(tmp_path: Path) -> None:
    (path,) = write_cases(count=1, kind="ct", format="nifti", seed=4, directory=tmp_path, matrix=64)
    image = nibabel.load(path)
    masks = sorted((tmp_path / "masks").glob("*.nii.gz"))
    assert path.parent == tmp_path / "images"
    assert any(mask.name.endswith("-iph.nii.gz") for mask in masks)
    for mask in masks:
        loaded = nibabel.load(mask)
        assert np.allclose(loaded.affine, image.affine)
        assert loaded.shape == image.shape
        assert set(np.unique(np.asarray(loaded.dataobj))) <= {0, 1}
    record = json.loads((tmp_path / "records" / "phantom-ct-0004.json").read_text())
    assert record["seed"] == 4
    assert {"iph", "ivh", "sah", "sdh", "edh"} == set(record["volume_ml"])


def test_dicom_reads_back_as_the_same_volume(tilted: PhantomCase, tmp_path: Path) -> None:
    for number, dataset in enumerate(dicom_slices(tilted, modality="CT")):
        dataset.save_as(tmp_path / f"{number}.dcm", write_like_original=False)
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.array, tilted.volume.array)
    assert np.allclose(volume.affine, tilted.volume.affine, atol=1e-5)


def test_dicom_series_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    folders = []
    for run in ("a", "b"):
        (folder,) = write_cases(count=1, kind="ct", format="dicom", seed=2, directory=tmp_path / run, matrix=64)
        folders.append(folder)
    first, second = ({path.name: path.read_bytes() for path in sorted(folder.glob("*.dcm"))} for folder in folders)
    assert len(first) > 10
    assert first == second


def test_uids_of_a_series_belong_together(tilted: PhantomCase) -> None:
    datasets = dicom_slices(tilted, modality="CT")
    assert len({ds.SeriesInstanceUID for ds in datasets}) == 1
    assert len({ds.SOPInstanceUID for ds in datasets}) == len(datasets)
    assert all(ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID for ds in datasets)


@pytest.mark.parametrize("wrong", [{"kind": "pet"}, {"format": "png"}, {"count": 0}, {"seed": -1}])
def test_a_wrong_setting_is_explained(tmp_path: Path, wrong: dict[str, object]) -> None:
    settings = {"count": 1, "kind": "ct", "format": "nifti", "seed": 0, **wrong}
    with pytest.raises(ConfigError, match="expected kind one of"):
        write_cases(directory=tmp_path, **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_finished_cases_are_left_when_resuming_and_each_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def write(**options: bool) -> list[Path]:
        return write_cases(
            count=2, kind="ct", format="nifti", seed=4, directory=tmp_path, matrix=32, processes=1, **options
        )

    write(after=told.append)  # type: ignore[arg-type]
    assert told == sorted(told)
    assert set(told) == {0, 1, 2}
    monkeypatch.setattr(files, "make_ct", lambda *_, **__: pytest.fail("rendered again"))
    assert [path.name for path in write(resume=True)] == ["phantom-ct-0004.nii.gz", "phantom-ct-0005.nii.gz"]
