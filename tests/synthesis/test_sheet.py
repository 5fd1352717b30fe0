"""The sheet of pseudo-CT: which slices, which MRI belongs to which, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers.slice_stores import write_store

from amd_das.conventions import LINE_RGB
from amd_das.errors import ConfigError
from amd_das.slices import SliceStore, SliceWriter
from amd_das.synthesis.sheet import choose_columns, render_translation_sheet


def test_one_slice_of_each_case_by_the_size_of_its_lesion() -> None:
    cases = np.array([0, 0, 1, 1, 2])
    lesions = np.array([5, 9, 0, 0, 30])
    assert choose_columns(cases, lesions, 6) == [4, 1, 2]
    assert choose_columns(cases, lesions, 2) == [4, 2], "both ends are seen"


def translation(source: SliceStore, directory: Path, rows: list[int], made_from: str) -> SliceStore:
    """Some slices of a source as its pseudo-CT, all of one grey."""
    case = source.cases[0]
    assert source.labels is not None
    record = type(case)(
        case=case.case, patient=case.patient, spacing_mm=case.spacing_mm, spacing_known=True,
        numbers=tuple(case.numbers[row] for row in rows), brain_px=tuple(case.brain_px[row] for row in rows),
        lesion_px=tuple(case.lesion_px[row] for row in rows),
    )  # fmt: skip
    images = np.where(source.images[rows] > 0, 250, 0).astype(np.uint8)
    with SliceWriter(directory, "pseudo_ct", labelled=True, config={"source": made_from}) as writer:
        writer.append(record, images, np.asarray(source.labels[rows]))
    return SliceStore.open(directory)


def test_the_mri_above_is_the_one_that_was_translated(tmp_path: Path) -> None:
    source = write_store(tmp_path / "source", "source", count=4, seed=3, labelled=True)
    pseudo = translation(source, tmp_path / "pseudo", [1, 3], source.digest())
    sheet = np.asarray(render_translation_sheet(source, pseudo, columns=1))
    grey = (sheet == 250).all(axis=-1)
    rows, columns = np.flatnonzero(grey.any(axis=1)), np.flatnonzero(grey.any(axis=0))
    height = rows[-1] - rows[0] + 1
    above = sheet[: rows[0], columns[0] : columns[-1] + 1]
    assert height > 50 and (above == LINE_RGB).all(axis=-1).any(), "its lesion is outlined"
    shown = 1 if source.lesion_px[1] >= source.lesion_px[3] else 3
    brain = np.flatnonzero((source.images[shown] > 0).any(axis=1))
    assert height == brain[-1] - brain[0] + 1


def test_pseudo_ct_of_another_source_is_refused(tmp_path: Path) -> None:
    source = write_store(tmp_path / "source", "source", count=2, seed=3, labelled=True)
    pseudo = translation(source, tmp_path / "pseudo", [0], "0" * 64)
    with pytest.raises(ConfigError, match="was not made from"):
        render_translation_sheet(source, pseudo)
