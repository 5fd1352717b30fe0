"""Curves and pseudo-CT that trainings have left."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.slice_stores import write_store
from PIL import Image

from amd_das.errors import NotFoundError
from amd_das.slices import SliceStore, SliceWriter
from amd_das.training import history
from amd_das_app.dashboard.runs import TranslationSheets, curve_folder, curve_views


def curve(workdir: Path, name: str, age: float, *entries: dict[str, object]) -> None:
    (workdir / name).mkdir()
    for entry in entries:
        history.append(workdir / name, entry)
    if entries:
        os.utime(workdir / name / history.NAME, (age, age))


def test_the_newest_of_each_step(tmp_path: Path) -> None:
    curve(tmp_path, "synthesis-aaa", 1, {"step": 5, "losses": {"cycle": 0.5}})
    curve(tmp_path, "synthesis-bbb", 3, {"step": 9, "losses": {"cycle": 0.25}}, {"step": 9, "validation": {"x": 1}})
    curve(tmp_path, "segmentation-ccc", 2, {"step": 7, "losses": {"dice": 0.125}})
    curve(tmp_path, "other-ddd", 4, {"step": 7, "losses": {"dice": 0.125}})
    views = curve_views(tmp_path, str.upper)
    assert [(view.step, view.folder, view.steps, view.latest) for view in views] == [
        ("SYNTHESIS", "synthesis-bbb", 9, "cycle 0.25"),
        ("SEGMENTATION", "segmentation-ccc", 7, "dice 0.125"),
    ]
    assert curve_folder(tmp_path, "synthesis-aaa") == tmp_path / "synthesis-aaa"


@pytest.mark.parametrize("name", ["..", "synthesis-zzz", "../x", ""])
def test_no_other_folder_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="no training"):
        curve_folder(tmp_path, name)


def translated(workdir: Path, source: SliceStore, key: str) -> None:
    directory = workdir / f"translation-{key}" / "slices"
    with SliceWriter(directory, "pseudo_ct", labelled=True, config={"source": source.digest()}) as writer:
        assert source.labels is not None
        writer.append(source.cases[0], np.asarray(source.images), np.asarray(source.labels))


def test_a_sheet_of_the_newest_pseudo_ct(tmp_path: Path) -> None:
    sheets = TranslationSheets(tmp_path, tmp_path / "dashboard")
    assert sheets.newest() == ""
    with pytest.raises(NotFoundError, match="no MRI has been translated"):
        sheets.draw()
    source = write_store(tmp_path / "source-1" / "slices", "source", count=3, seed=1, labelled=True)
    (tmp_path / "source-0" / "slices").mkdir(parents=True)  # interrupted before its first slice
    translated(tmp_path, source, "aaa")
    path = sheets.draw()
    with Image.open(path) as picture:
        assert picture.width > 200
    assert sheets.draw() == path
    translated(tmp_path, source, "bbb")
    newer = sheets.draw()
    assert newer != path and not path.exists(), "the drawing before it is gone"


def test_pseudo_ct_whose_mri_is_gone(tmp_path: Path) -> None:
    translated(tmp_path, write_store(tmp_path / "elsewhere", "source", count=2, seed=1, labelled=True), "aaa")
    with pytest.raises(NotFoundError, match="is gone"):
        TranslationSheets(tmp_path, tmp_path / "dashboard").draw()
