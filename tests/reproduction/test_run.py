"""The paper's tables in small: every row runs to its end, is scored, and is not trained twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.flairs import write_decathlon
from helpers.heads import write_head
from helpers.public_sets import write_bhsd
from helpers.tiny_pipeline import tiny_pipeline

from amd_das import cli
from amd_das.errors import ConfigError, TrainingError
from amd_das.pipeline.config import PipelineConfig
from amd_das.reproduction import run as run_module
from amd_das.reproduction.console import lines
from amd_das.reproduction.rows import ROWS, SUPERVISED, check_table
from amd_das.reproduction.run import Places, reproduce
from amd_das.reproduction.scores import score
from amd_das.reproduction.supervised import NamedUNet, folds, train

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


@pytest.mark.slow
@pytest.mark.parametrize("table", ["table2", "table3", "table4", "table5"])
def test_a_table_runs_to_its_end(table: str, places: Places) -> None:
    told = []
    results = reproduce(table, tiny_pipeline(), places, processes=1, after=told.append)
    rows = SUPERVISED if table == "table5" else ROWS[table]  # type: ignore[index]
    assert results == told
    assert [(one.name, one.paper) for one in results] == [(row.name, row.paper) for row in rows]
    assert all(0 <= one.dice.paper_way <= 100 and one.dice.lesion_slices > 0 for one in results)
    record = json.loads((places.workdir / f"{table}-tiny.json").read_text())
    assert (record["data"], len(record["rows"])) == ("given", len(rows))
    printed = "\n".join(lines(table, "tiny", results))
    assert f"{rows[-1].paper:.2f}" in printed
    if table == "table5":
        assert {one.dice.slices for one in results} == {results[0].dice.slices}


@pytest.mark.slow
def test_folds_that_are_done_are_not_trained_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reproduce("table5", tiny_pipeline(), places, processes=1)

    def trains(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(run_module, "train", trains)
    again = reproduce("table5", tiny_pipeline(), places, processes=1)
    assert [one.dice for one in again] == [one.dice for one in first]


def test_rows_change_what_they_are_named_after() -> None:
    config = tiny_pipeline()
    rows = {row.name: row.change(config) for table in ROWS.values() for row in table}
    plain, full = rows["CycleGAN"], rows["AMD-DAS"]
    assert (plain.synthesis.lesion_weight, plain.synthesis.feature_weight, plain.matched) == (0, 0, False)
    assert plain.segmentation.adversarial_weight == 0 < rows["CycleGAN + DAS"].segmentation.adversarial_weight
    assert full == replace(config, source_slices="all")
    assert full == rows["all source slices"], "the last row of Table 3 is the first of Table 4"
    assert rows["DAS (one stage)"].train_on == rows["baseline (MRI as it is)"].train_on == "mri"
    assert rows["matched"] == config
    with pytest.raises(ConfigError, match="no table 'table6'; there are: table2, table3"):
        check_table("table6")


def test_folds_divide_patients_and_share_out_bleeds(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=10)
    parts = folds(store)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(store)))
    held = [{store.cases[number].patient for number in store.case_index[part]} for part in parts]
    assert sum(map(len, held)) == len(set().union(*held)) == 10
    with pytest.raises(TrainingError, match="holds 2 patient"):
        folds(disc_store(tmp_path / "few", "source", patients=2))


def test_a_silent_network_scores_on_empty_slices_only(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=4)
    assert store.labels is not None

    class Always(torch.nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            self.sign = torch.nn.Parameter(torch.tensor(sign))

        def forward(self, image: torch.Tensor) -> object:
            return type("Output", (), {"logits": self.sign * torch.ones_like(image)})()

    silent = score(Always(-9.0), store)
    shows = (store.lesion_px > 0).mean()
    assert silent.lesions == 0
    assert silent.paper_way == pytest.approx(100 * (1 - shows), abs=1)
    loud = score(Always(9.0), store)
    assert 0 < (loud.lesions or 0) < 10
    assert loud.paper_way < silent.paper_way


def test_monais_u_net_learns(tmp_path: Path) -> None:
    config: PipelineConfig = tiny_pipeline()
    config = replace(
        config,
        segmentation=replace(config.segmentation, learning_rate=1e-2),
        segmentation_fit=replace(config.segmentation_fit, steps=40, batch=4),
    )
    store = disc_store(tmp_path / "s", "source", patients=4)
    torch.manual_seed(0)
    network = NamedUNet(4)
    before = score(network, store)
    train(network, store, np.arange(len(store)), config, lambda: False)
    after = score(network, store)
    assert after.paper_way > before.paper_way
    assert network(torch.zeros(1, 1, 50, 61)).logits.shape == (1, 1, 50, 61)
    with pytest.raises(TrainingError, match="stopped"):
        train(network, store, np.arange(len(store)), config, lambda: True)


def test_a_target_without_labelled_ct_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "table2", "--preset", "smoke", "--target", str(tmp_path), "--workdir", str(tmp_path / "w")]
    assert cli.main(words) == 2
    assert "give --target and --test together" in capsys.readouterr().err
