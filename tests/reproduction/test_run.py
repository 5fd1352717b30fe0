"""The paper's tables in small: every row runs to its end, is scored, is not trained twice, and goes on when stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.flairs import write_decathlon
from helpers.heads import write_head
from helpers.public_sets import write_bhsd
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.pipeline.config import PipelineConfig
from amd_das.reproduction import cross_validation
from amd_das.reproduction import run as run_module
from amd_das.reproduction.report import Result
from amd_das.reproduction.rows import ROWS
from amd_das.reproduction.run import reproduce
from amd_das.reproduction.work import Places

NAMES = [f"ID_{number:08x}_ID_{number:010x}" for number in range(6)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Three small MRI, three CTs, six labelled CTs."""
    base = tmp_path_factory.mktemp("tables")
    source = write_decathlon(base / "mri", "BRATS_001", "BRATS_002", "BRATS_003")
    (base / "ct").mkdir()
    for number, bleed_x in enumerate((10, -10, 14)):
        write_head(base / "ct" / f"head{number}.nii.gz", bleed_x=bleed_x)
    return Places(workdir=base / "work", source=source, target=base / "ct", test=write_bhsd(base / "test", *NAMES))


def tiny() -> PipelineConfig:
    return replace(tiny_pipeline(), self_training=())


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, nothing may be trained or scored."""

    def works(*_: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(run_module, "score", works)
    monkeypatch.setattr(cross_validation, "score", works)
    monkeypatch.setattr(cross_validation, "train", works)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["table2", "table3", "table4", "table5", "ablation"])
def test_a_table_runs_to_its_end(table: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Result] = []
    report = reproduce(table, tiny(), places, processes=1, after=told.append)
    rows = ROWS[table]  # type: ignore[index]
    assert list(report.results) == told
    assert [(one.name, one.paper) for one in report.results] == [(row.name, row.paper) for row in rows]
    assert all(0 <= one.scores.paper_way <= 100 and one.scores.heads is not None for one in report.results)
    record = json.loads((places.workdir / f"{table}-tiny.json").read_text())
    assert (record["phantoms"], record["seeds"], len(record["rows"])) == (False, [0], len(rows))
    assert record["data"]["test"]["cases"] == len(NAMES)
    forbid(monkeypatch)
    again = reproduce(table, tiny(), places, processes=1)
    assert again.results == report.results, "what is done is kept, its time too"


@pytest.mark.slow
def test_a_table_that_was_stopped_goes_on(places: Places, tmp_path: Path) -> None:
    here = replace(places, workdir=tmp_path / "work")
    first: list[Result] = []
    with pytest.raises(TrainingStopped):
        reproduce("table2", tiny(), here, processes=1, after=first.append, should_stop=lambda: len(first) == 2)
    kept = json.loads((here.workdir / "table2-tiny.json").read_text())
    assert [row["name"] for row in kept["rows"]] == [one.name for one in first]
    finished = {path: path.stat().st_mtime_ns for path in here.workdir.glob("work/*/done.json")}
    whole = reproduce("table2", tiny(), here, processes=1)
    assert list(whole.results[:2]) == first
    assert len(whole.results) == len(ROWS["table2"])
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "no step is made again"


@pytest.mark.slow
def test_folds_that_are_done_are_not_trained_again(places: Places, tmp_path: Path) -> None:
    here = replace(places, workdir=tmp_path / "work")
    file = here.workdir / "folds.json"

    def three_are_done() -> bool:
        return file.exists() and len(json.loads(file.read_text())) == 3

    with pytest.raises(TrainingStopped):
        reproduce("table5", tiny(), here, processes=1, should_stop=three_are_done)
    kept = json.loads(file.read_text())
    whole = reproduce("table5", tiny(), here, processes=1)
    now = json.loads(file.read_text())
    assert len(kept) == 3
    assert {key: now[key] for key in kept} == kept
    assert len(now) == 5 * len(whole.results)


@pytest.mark.slow
def test_seeds_are_trained_one_after_the_other(places: Places) -> None:
    one = reproduce("table4", tiny(), places, processes=1)
    both = reproduce("table4", tiny(), places, processes=1, seeds=(0, 1))
    assert list(both.results[:5]) == list(one.results)
    assert [result.seed for result in both.results] == [0] * 5 + [1] * 5
    assert all("±" in line for line in both.lines() if line.startswith("unmatched"))


def test_seeds_and_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    for seeds in ((), (1, 1), (-1,)):
        with pytest.raises(ConfigError, match="expected at least one, each 0 or more and each once"):
            reproduce("table2", tiny(), Places(workdir=tmp_path), seeds=seeds)
    with pytest.raises(ConfigError, match="no table 'table6'; there are: table2, table3"):
        reproduce("table6", tiny(), Places(workdir=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_test_folder_without_labels_is_refused(places: Places, tmp_path: Path) -> None:
    assert places.target is not None
    bare = replace(places, workdir=tmp_path / "work", test=places.target)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="holds no labelled CT"):
        reproduce("table2", tiny(), bare, processes=1)
