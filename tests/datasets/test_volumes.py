"""A case read: the first channel, and a mask that lies where its image does."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.flairs import AFFINE, make_flair, save, write_decathlon

from amd_das.datasets import CaseFiles, head_cts, labelled_mri
from amd_das.datasets.volumes import has_lesion, read_image, read_mask, sha256
from amd_das.errors import GeometryError, InputError, TooLargeError, UnreadableError
from amd_das.reading import ReadingConfig


def test_of_several_channels_the_first_is_read(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path, "a"))
    volume = read_image(files)
    image, mask = make_flair()
    np.testing.assert_array_equal(volume.array, image)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert (volume.array.dtype, volume.case_id, volume.spacing_known) == (np.float32, "a", True)
    np.testing.assert_array_equal(read_mask(files, volume), mask > 0)
    assert has_lesion(files)


def test_three_axes_and_dicom_go_through_the_readers(tmp_path: Path) -> None:
    image, _ = make_flair()
    plain = CaseFiles(case="a", patient="a", image=save(image, tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(read_image(plain).array, image)
    write_series(tmp_path / "both", image[:8, :8, :3])
    write_series(tmp_path / "both" / "deeper", image[:8, :8, :2])
    assert sorted(read_image(files).shape for files in head_cts(tmp_path / "both")) == [(8, 8, 2), (8, 8, 3)]


def test_broken_channels_are_refused(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path, "a"))
    with pytest.raises(TooLargeError, match="max_voxels"):
        read_image(files, ReadingConfig(max_voxels=1000))
    files.image.write_bytes(files.image.read_bytes()[:500])
    with pytest.raises(UnreadableError, match=r"a\.nii\.gz is damaged"):
        read_image(files)
    files.image.write_bytes(b"no image at all")
    with pytest.raises(UnreadableError):
        read_image(files)


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path, "a"))
    assert files.mask is not None
    volume, (_, mask) = read_image(files), make_flair()
    save(mask[:, :, 1:], files.mask)
    with pytest.raises(GeometryError, match=r"shape \(48, 56, 19\), its image \(48, 56, 20\)"):
        read_mask(files, volume)
    aside = AFFINE.copy()
    aside[1, 3] += 2
    save(mask, files.mask, aside)
    with pytest.raises(GeometryError, match=r"up to 2\.0 mm aside"):
        read_mask(files, volume)
    aside[1, 3] -= 1.99
    save(mask, files.mask, aside)
    assert read_mask(files, volume).sum() == mask.sum()


def test_no_lesion_and_no_mask(tmp_path: Path) -> None:
    image, mask = make_flair()
    path = save(image, tmp_path / "a.nii.gz")
    without = CaseFiles(case="a", patient="a", image=path)
    with pytest.raises(InputError, match="a has no mask"):
        read_mask(without, read_image(without))
    empty = CaseFiles(case="a", patient="a", image=path, mask=save(0 * mask, tmp_path / "mask.nii.gz"))
    broken = CaseFiles(case="a", patient="a", image=path, mask=tmp_path / "broken.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"")
    assert [has_lesion(files) for files in (without, empty, broken)] == [False, False, False]


def test_the_digest_is_of_the_bytes_in_any_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    a, b = tmp_path / "a", tmp_path / "b"
    assert sha256(CaseFiles(case="a", patient="a", image=a)) == hashlib.sha256(b"a").hexdigest()
    one, other = (CaseFiles(case="s", patient="s", image=tmp_path, series=series) for series in ((a, b), (b, a)))
    assert sha256(one) == sha256(other)
