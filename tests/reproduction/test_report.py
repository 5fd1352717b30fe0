"""A table printed and written: the paper's column beside ours, and what it can and cannot say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import TrainingError
from amd_das.reproduction.report import PHANTOMS, Report, Result, earlier
from amd_das.reproduction.scores import Scores


def result(name: str, paper: float, seed: int, ours: float, heads: float | None = 50.0) -> Result:
    scores = Scores(paper_way=ours, lesions=ours / 2, heads=heads, false_slices=4.0)
    return Result(
        name=name, paper=paper, seed=seed, scores=scores, seconds=90.0, commit="0123456789", key=f"{name}{seed}"
    )


@pytest.fixture
def report() -> Report:
    return Report(
        table="table2",
        preset="smoke",
        phantoms=True,
        date="2026-01-02",
        machine="a machine",
        version="9.9",
        data={"source": {"cases": 4, "slices": 77}, "test": {"cases": 6, "slices": 49, "lesion_slices": 11}},
        silence=Scores(paper_way=77.56, lesions=0.0, heads=0.0, false_slices=0.0),
        results=(result("CycleGAN", 65.15, 0, 40.0), result("synthesis network", 81.41, 0, 60.0, heads=None)),
    )


def test_the_papers_column_stands_beside_ours(report: Report) -> None:
    printed = "\n".join(report.lines())
    line = next(line for line in report.lines() if line.startswith("synthesis"))
    assert line.split()[2:] == ["81.41", "60.00", "30.00", "-", "4.00"]
    about = "source 4 heads, 77 slices; test 6 heads, 49 slices. 2026-01-02, a machine, amd-das 9.9, commit 0123456789"
    for said in (
        about,
        "`amd-das reproduce table2 --preset smoke`, 3 minutes",
        "marks nothing would score 77.56",
        "Its numbers mean nothing",
        PHANTOMS,
    ):
        assert said in printed
    page = report.markdown()
    assert "| CycleGAN | 65.15 | 40.00 | 20.00 | 50.00 | 4.00 |" in page
    assert page.count("\n|") == 4
    assert RESEARCH_NOTICE in page


def test_seeds_are_averaged_and_their_spread_is_said(report: Report) -> None:
    both = replace(report, preset="small", results=(*report.results, result("CycleGAN", 65.15, 1, 44.0)))
    assert "42.00 ± 2.83" in both.markdown()
    assert "seeds 0, 1" in both.markdown()
    assert "`amd-das reproduce table2 --preset small --seeds 0 1`" in both.markdown()
    record = both.record()
    assert (record["seeds"], record["minutes"]) == ([0, 1], 4.5)
    assert record["rows"][0]["mean"]["paper_way"] == 42.0
    assert record["rows"][0]["deviation"]["paper_way"] == 2.83
    assert record["rows"][1]["deviation"] is None


def test_given_data_are_not_called_phantoms(report: Report) -> None:
    results = [replace(one, commit=None) for one in report.results]
    given = replace(report, phantoms=False, preset="paper", results=results).markdown()
    assert PHANTOMS not in given
    assert "mean nothing" not in given
    assert "commit" not in given


def test_what_is_written_is_found_again(report: Report, tmp_path: Path) -> None:
    assert earlier(tmp_path, "table2", "smoke") == {}
    report.write(tmp_path)
    assert earlier(tmp_path, "table2", "smoke") == {one.key: one for one in report.results}
    record = json.loads((tmp_path / "table2-smoke.json").read_text())
    assert {"date", "machine", "preset", "seeds", "data", "minutes", "notes"} <= set(record)
    (tmp_path / "table2-smoke.json").write_text('{"rows": [{}]}')
    with pytest.raises(TrainingError, match=r"table2-smoke.json is damaged .*; remove it"):
        earlier(tmp_path, "table2", "smoke")
