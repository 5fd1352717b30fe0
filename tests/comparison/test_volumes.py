"""Both models on whole scans: scored each, continued, and a scan that cannot be read is no end."""

import json
from pathlib import Path

import pytest
from helpers.heads import save_blood_detector
from helpers.tiny_fine_tuning import write_labelled

from amd_das.comparison.volumes import CHALLENGER, CHAMPION, FILE_NAME, Row, compare, pairs_of
from amd_das.datasets import CaseFiles, head_cts
from amd_das.errors import TrainingStopped
from amd_das.inference import Predictor
from amd_das.models import load_current


@pytest.fixture
def cases(tmp_path: Path) -> list[CaseFiles]:
    for name, bleed_x in (("a", 10.0), ("b", None), ("c", -12.0)):
        write_labelled(tmp_path / "studies", name, bleed_x=bleed_x)
    return head_cts(tmp_path / "studies", tmp_path / "studies" / "labels" / "final")


@pytest.fixture
def predictors(tmp_path: Path) -> dict[str, Predictor]:
    """One that finds the blood, and one that finds nothing."""
    biases = {CHAMPION: -10.0, CHALLENGER: -40.0}
    for name, bias in biases.items():
        save_blood_detector(tmp_path / name, bias)
    return {name: Predictor(load_current(tmp_path / name), device="cpu") for name in biases}


def run(cases: list[CaseFiles], predictors: dict[str, Predictor], folder: Path, stop_after: int = 9) -> dict[str, Row]:
    folder.mkdir(exist_ok=True)
    told: list[int] = []
    return compare(
        cases,
        predictors,
        folder,
        progress=lambda done, total: told.append(done),
        should_stop=lambda: len(told) > stop_after,
    )


def test_each_scan_is_scored_under_both(
    cases: list[CaseFiles], predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    pairs = pairs_of(run(cases, predictors, tmp_path / "work"))
    assert [(pair.case, pair.bleeds) for pair in pairs] == [("a", True), ("b", False), ("c", True)]
    assert all(pair.champion_dice > 0.8 and pair.challenger_dice == 0 for pair in pairs if pair.bleeds)
    assert pairs[1].champion_dice != pairs[1].champion_dice, "there is nothing to overlap with"


def test_what_is_done_stays_done(cases: list[CaseFiles], predictors: dict[str, Predictor], tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(TrainingStopped, match="stopped after comparing 1 of 3 scans"):
        run(cases, predictors, work, stop_after=1)
    kept = json.loads((work / FILE_NAME).read_text())
    assert list(kept) == ["a"]
    kept["a"][CHAMPION]["dice"] = 0.125
    (work / FILE_NAME).write_text(json.dumps(kept))
    assert pairs_of(run(cases, predictors, work))[0].champion_dice == 0.125


def test_a_scan_that_cannot_be_read_is_left_out(
    cases: list[CaseFiles], predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    assert cases[0].image is not None
    cases[0].image.write_bytes(b"no scan")
    rows = run(cases, predictors, tmp_path / "work")
    assert "error" in rows["a"]
    assert [pair.case for pair in pairs_of(rows)] == ["b", "c"]
