"""Folds divide patients, and damaged ones are said to be so."""

from pathlib import Path

import numpy as np
import pytest
from helpers.disc_slices import disc_store
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import TrainingError
from amd_das.reproduction.cross_validation import CrossValidation, folds
from amd_das.reproduction.rows import SUPERVISED


def test_folds_divide_patients_and_share_out_bleeds(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=10)
    parts = folds(store)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(store)))
    held = [{store.cases[number].patient for number in store.case_index[part]} for part in parts]
    assert sum(map(len, held)) == len(set().union(*held)) == 10
    with pytest.raises(TrainingError, match="holds 2 patient"):
        folds(disc_store(tmp_path / "few", "source", patients=2))


def test_kept_folds_that_are_damaged_are_named(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=5)
    (tmp_path / "folds.json").write_text("{")
    rows = CrossValidation(tiny_pipeline(), store, tmp_path, dict, tell=lambda *of: None, should_stop=lambda: False)
    with pytest.raises(TrainingError, match=r"folds.json is damaged .*; remove it"):
        rows.score(SUPERVISED[0])
