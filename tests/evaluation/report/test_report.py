"""The report of a small set under two models: one page that needs nothing else, and tables that say the same."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.labelled_sets import AFFINE, SHAPE, write_set, write_volume

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.evaluation.attributes import Attributes
from amd_das.evaluation.cases import EvaluationCase, pair_cases
from amd_das.evaluation.report import ReportFiles, write_report
from amd_das.evaluation.scoring import score_cases

REFERENCE = {"a": 4, "b": 4, "c": 4, "d": 4, "negative": 0}
MODELS = {
    "first": {"a": 4, "b": 3, "c": 2, "d": 0, "negative": 5},
    "<second>": {"a": 4, "b": 4, "c": 3, "d": 1, "negative": 0},
}
TABLE = {
    "a": Attributes(subtypes=frozenset({"iph", "ivh"}), scanner="One"),
    "negative": Attributes(subtypes=frozenset()),
}


def make_set(folder: Path, models: Sequence[str] = tuple(MODELS)) -> list[EvaluationCase]:
    ref = write_set(folder / "ref", REFERENCE)
    preds = {name: write_set(folder / f"pred{place}", MODELS[name]) for place, name in enumerate(models)}
    rng = np.random.default_rng(0)
    for case in REFERENCE:
        write_volume(rng.integers(20, 60, SHAPE).astype(np.int16), folder / "images" / f"{case}.nii.gz")
    return pair_cases(preds, ref, folder / "images")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    folder = tmp_path_factory.mktemp("set")
    cases = make_set(folder)
    return write_report(score_cases(cases, TABLE), cases, folder / "report", about={"predictions": list(MODELS)})


@pytest.fixture(scope="module")
def page(report: ReportFiles) -> str:
    return report.page.read_text()


def test_the_page_loads_nothing_and_says_what_it_is_not_for(page: str) -> None:
    sources = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert len(sources) > 8 and all(source.startswith("data:") for source in sources)
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert "default-src 'none'" in page
    assert page.count(RESEARCH_NOTICE) == 2


def test_names_from_outside_are_text(page: str) -> None:
    assert "<second>" not in page and "&lt;second&gt;" in page


def test_the_page_shows_every_number_the_reader_came_for(page: str) -> None:
    for words in (
        "4 scans with a bleed, 1 without",
        "HD95, mm",
        "False positives on negatives, mL",
        "Bland-Altman",
        "ROC",
        "smoothing 1",
        "Wilcoxon p",
        "By subtype",
        "ivh",
        "By scanner",
        "By volume of the reference",
        "Lesion-wise F1",
        "Most false positives in scans without a bleed",
    ):
        assert words in page, words
    mean = (1 + 6 / 7 + 2 / 3 + 0) / 4
    assert f"{mean:.3f} [" in page
    assert "nan" not in re.sub(r'"data:[^"]*"', "", page)


def test_the_worst_come_first_and_each_model_is_drawn(page: str) -> None:
    worst = page.index("worst scans with a bleed")
    order = [page.index(f"<h3>{case}</h3>", worst) for case in ("d", "c", "b", "a")]
    assert order == sorted(order)
    assert page.count("data:image/jpeg") == 2 * 4 + 1, "a negative is shown for the model that alarms alone"


def test_the_tables_hold_every_case_and_slice(report: ReportFiles) -> None:
    with report.cases.open(newline="") as file:
        rows = {(row["case"], row["model"]): row for row in csv.DictReader(file)}
    assert len(rows) == 10
    assert float(rows["b", "first"]["dice"]) == pytest.approx(6 / 7, abs=1e-6)
    assert rows["d", "first"]["hd95_mm"] == "" and rows["a", "first"]["subtypes"] == "iph;ivh"
    with report.slices.open(newline="") as file:
        slices = [row for row in csv.DictReader(file) if (row["case"], row["model"]) == ("b", "first")]
    assert [int(row["pixels_ref"]) for row in slices] == [0, 0, 24, 24, 0, 0]
    assert float(slices[2]["paper_dice"]) == pytest.approx((2 * 18 + 1) / (18 + 24 + 1), abs=1e-6)


def test_the_json_says_the_same_without_nan(report: ReportFiles) -> None:
    record = json.loads(report.json.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["notice"] == RESEARCH_NOTICE and record["predictions"] == list(MODELS)
    first = record["models"]["first"]
    assert first["overall"]["measures"]["dice"]["mean"] == pytest.approx((1 + 6 / 7 + 2 / 3) / 4, abs=1e-5)
    assert first["overall"]["measures"]["false_positive_ml"] == {
        "n": 1,
        "mean": 1.2,
        "median": 1.2,
        "low": None,
        "high": None,
    }
    assert record["differences"]["<second>"]["dice"]["n"] == 4
    assert len(record["cases"]) == 10


def test_one_model_alone_without_images_or_table(tmp_path: Path) -> None:
    cases = [EvaluationCase(case=c.case, ref=c.ref, preds=c.preds) for c in make_set(tmp_path, ["first"])]
    page = write_report(score_cases(cases), cases, tmp_path / "report").page.read_text()
    assert "Wilcoxon" not in page and "By subtype" not in page and "data:image/jpeg" not in page
    assert "worst scans with a bleed" in page


def test_an_image_on_another_grid_is_said_and_not_drawn(tmp_path: Path) -> None:
    cases = make_set(tmp_path)
    write_volume(np.full((10, 10, 6), 30, np.int16), tmp_path / "images" / "c.nii.gz", AFFINE)
    files = write_report(score_cases(cases), cases, tmp_path / "report")
    (problem,) = files.problems
    assert problem.startswith("c cannot be drawn: ") and "same grid" in problem
    page = files.page.read_text()
    assert "c cannot be drawn" in page and page.count("data:image/jpeg") == 2 * 3 + 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    cases = make_set(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write a report"):
        write_report(score_cases(cases), cases, tmp_path / "file" / "report")
