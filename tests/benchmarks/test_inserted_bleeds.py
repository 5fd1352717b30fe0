"""The benchmark that puts known bleeds into real slices: where they lie, and what it counts."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector

from amd_das.inference import Predictor
from amd_das.models import load_current
from amd_das.preprocessing import Preprocessed, preprocess
from amd_das.reading import read_volume

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inserted_bleeds.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inserted_bleeds", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stock(benchmark: ModuleType) -> list[Any]:
    """Two round bleeds, of 35 HU more than the tissue, in the middle of their slice."""
    rows, columns = np.indices((240, 240)) - 119.5
    made = []
    for radius in (7, 10):
        mask = np.hypot(rows, columns) < radius
        made.append(benchmark.Bleed(mask * np.float32(0.35), mask, 30.0, np.array([119.5, 119.5])))
    return made


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one head and, as mask, the blood that it has already."""
    folder = tmp_path_factory.mktemp("scan")
    hu, blood = make_head()
    for kind, array in (("images", hu), ("masks", blood.astype(np.uint8))):
        (folder / kind).mkdir()
        nibabel.save(nibabel.Nifti1Image(array, AFFINE), folder / kind / "a.nii.gz")
    return folder


@pytest.fixture(scope="module")
def head(scan: Path) -> Preprocessed:
    return preprocess(read_volume(scan / "images" / "a.nii.gz"))


def test_a_bleed_lies_in_the_brain_and_off_the_blood_that_is_there(
    benchmark: ModuleType, stock: list[Any], head: Preprocessed
) -> None:
    blood = np.zeros(head.slices.shape, bool)
    blood[:, :, :120] = True
    before = head.slices.copy()
    inserted = benchmark.insert(head, blood, stock, np.random.default_rng(1))
    assert len(inserted.masks) >= 3
    for number, mask in inserted.masks.items():
        assert mask.any()
        assert not (mask & (blood[number] | ~head.brain[number])).any()
        brighter = inserted.prepared.slices[number] - before[number]
        assert brighter[mask].min() > 0.2
        assert np.abs(brighter[~mask]).max() < 0.2, "only its soft edge reaches beyond the outline"
    untouched = [number for number in range(len(before)) if number not in inserted.masks]
    np.testing.assert_array_equal(inserted.prepared.slices[untouched], before[untouched])
    np.testing.assert_array_equal(head.slices, before)


def test_where_there_is_no_room_nothing_is_inserted(
    benchmark: ModuleType, stock: list[Any], head: Preprocessed
) -> None:
    everywhere = np.ones(head.slices.shape, bool)
    inserted = benchmark.insert(head, everywhere, stock, np.random.default_rng(1))
    assert inserted.masks == {}
    np.testing.assert_array_equal(inserted.prepared.slices, head.slices)


def test_who_sees_blood_finds_them_and_who_sees_none_misses_them(
    benchmark: ModuleType, stock: list[Any], scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "bleeds", lambda count, seed: stock)

    def score(bias: float) -> dict[str, Any]:
        save_blood_detector(tmp_path, bias)
        predictor = Predictor(load_current(tmp_path), device="cpu")
        return benchmark.score(predictor, scan / "images", scan / "masks", rounds=1, count=2, seed=0)

    seeing, blind = score(-10.0), score(-60.0)
    assert seeing["inserted"] == blind["inserted"] >= 3
    assert (seeing["missed"], blind["missed"]) == (0, blind["inserted"])
    assert seeing["mean_dice"] > 0.8 and blind["mean_dice"] == 0
    assert seeing["found_elsewhere_mm2_per_scan"] == 0, "the head's own blood counts neither way"
    assert seeing["found_in_its_blood_mm2_per_scan"] > 500 and blind["found_in_its_blood_mm2_per_scan"] == 0


def test_what_is_found_where_nothing_bleeds_is_counted(
    benchmark: ModuleType, stock: list[Any], scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "bleeds", lambda count, seed: stock)
    unlabelled = tmp_path / "masks"
    unlabelled.mkdir()
    nibabel.save(nibabel.Nifti1Image(np.zeros(make_head()[0].shape, np.uint8), AFFINE), unlabelled / "a.nii.gz")
    save_blood_detector(tmp_path / "model")
    predictor = Predictor(load_current(tmp_path / "model"), device="cpu")
    found = benchmark.score(predictor, scan / "images", unlabelled, rounds=1, count=2, seed=0)
    assert found["found_elsewhere_mm2_per_scan"] > 500 and found["found_in_its_blood_mm2_per_scan"] == 0
