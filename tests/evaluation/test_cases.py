"""Cases put together by name, and what is missing said before anything is scored."""

from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.labelled_sets import block, write_set, write_volume

from amd_das.errors import ConfigError, NotFoundError
from amd_das.evaluation.cases import image_cases, pair_cases


def test_cases_have_a_reference_and_every_models_prediction(tmp_path: Path) -> None:
    ref = write_set(tmp_path / "ref", {"b": 1, "a": 2}, ending="-iph")
    one, two = (write_set(tmp_path / name, {"a": 2, "b": 1}) for name in ("one", "two"))
    images = write_set(tmp_path / "images", {"a": 0, "b": 0, "other": 0})
    cases = pair_cases({"one": one, "two": two}, ref, images)
    assert [case.case for case in cases] == ["a", "b"]
    assert cases[0].ref.name == "a-iph.nii.gz" and set(cases[0].preds) == {"one", "two"}
    assert cases[1].image is not None and cases[1].image.path == images / "b.nii.gz"


def test_a_missing_counterpart_is_refused_unless_it_may_be_left_out(tmp_path: Path) -> None:
    ref = write_set(tmp_path / "ref", {"a": 1, "b": 1})
    pred = write_set(tmp_path / "pred", {"b": 1, "c": 1})
    with pytest.raises(NotFoundError, match=r"1 reference\(s\) without a prediction in .*pred: a\. .*--common"):
        pair_cases({"model": pred}, ref)
    (ref / "a.nii.gz").unlink()
    with pytest.raises(NotFoundError, match=r"1 prediction\(s\) of .*pred without a reference: c"):
        pair_cases({"model": pred}, ref)
    assert [case.case for case in pair_cases({"model": pred}, ref, common=True)] == ["b"]
    (pred / "c.nii.gz").unlink()
    images = write_set(tmp_path / "images", {"z": 1})
    with pytest.raises(NotFoundError, match=r"case\(s\) without an image in .*images: b"):
        pair_cases({"model": pred}, ref, images)


def test_no_case_in_common_shows_both_ways_of_naming(tmp_path: Path) -> None:
    ref = write_set(tmp_path / "ref", {"patient1": 1})
    pred = write_set(tmp_path / "pred", {f"p{number}": 1 for number in range(7)})
    with pytest.raises(ConfigError, match=r"named p0, p1, p2, p3, p4 and 2 more, references patient1"):
        pair_cases({"model": pred}, ref, common=True)


def test_images_to_be_segmented_need_references(tmp_path: Path) -> None:
    ref = write_set(tmp_path / "ref", {"a": 1, "b": 1})
    images = write_set(tmp_path / "images", {"a": 0})
    with pytest.raises(NotFoundError, match=r"1 reference\(s\) without an image in .*: b"):
        image_cases(images, ref)
    assert [case.case for case in image_cases(images, ref, common=True)] == ["a"]
    write_volume(block(1), tmp_path / "elsewhere" / "x.nii.gz")
    with pytest.raises(ConfigError, match="no case has both an image and a reference"):
        image_cases(tmp_path / "elsewhere", ref)


def test_a_dicom_series_goes_by_its_folders_name(tmp_path: Path) -> None:
    ref = write_set(tmp_path / "ref", {"scan1": 1})
    write_series(tmp_path / "images" / "scan1", np.zeros((8, 8, 3), np.int16))
    (case,) = image_cases(tmp_path / "images", ref)
    assert case.image is not None and case.image.kind == "dicom"
