"""The trainer fine_tune: what it offers, what it takes, what it refuses before work starts, and its command line."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers.heads import save_blood_detector
from helpers.tiny_fine_tuning import write_labelled

from amd_das.errors import ConfigError, ModelError, PacsUnreachableError, TrainingError
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das_app.routes.train import params_of
from amd_das_app.settings import ServerSettings
from amd_das_app.training.fine_tune_task import FineTuneParams, FineTuneTask, parse_fine_tune_params
from amd_das_app.training.job_record import Job, outcome

DEVICES = {"Some GPU": "cuda:0", "cpu": "cpu"}


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FineTuneTask:
    """Of a server whose studies hold one head without a label."""
    save_blood_detector(tmp_path / "model")
    monkeypatch.setenv("AMD_DAS_MODEL_DIR", str(tmp_path / "model"))
    write_labelled(tmp_path / "studies", "head")
    (tmp_path / "studies" / "labels" / "final" / "head.nii.gz").unlink()
    settings = ServerSettings(runs_dir=str(tmp_path / "runs"))
    return FineTuneTask(str(tmp_path / "studies"), tmp_path / "runs" / "studies", settings)


def test_a_short_typed_config_with_the_librarys_defaults(task: FineTuneTask) -> None:
    config = task.info()["config"]
    assert list(config) == ["steps", "learning_rate", "frozen_stages", "device"]
    defaults = asdict(FineTuneConfig())
    assert {name: config[name] for name in list(config)[:-1]} == {name: defaults[name] for name in list(config)[:-1]}
    assert {name: type(value) for name, value in config.items()} == {
        "steps": int,
        "learning_rate": float,
        "frozen_stages": int,
        "device": list,
    }
    assert "not worse" in task.info()["description"]
    assert task.stats()["total_time"] == "0:00:00"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, FineTuneParams()),
        ({"steps": None, "device": None, "client_id": "x", "name": "train_01"}, FineTuneParams()),
        ({"steps": "50", "learning_rate": "1e-5"}, FineTuneParams(steps=50, learning_rate=1e-5)),
        ({"steps": 50.0, "device": ["Some GPU"]}, FineTuneParams(steps=50, device="cuda:0")),
        ({"frozen_stages": 0, "device": "cpu"}, FineTuneParams(frozen_stages=0, device="cpu")),
    ],
)  # fmt: skip
def test_params(given: dict[str, Any], expected: FineTuneParams) -> None:
    assert parse_fine_tune_params(given, DEVICES) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"preset": "smoke"}, "unknown 'preset'; allowed: steps, learning_rate, frozen_stages, device"),
        ({"steps": 0}, "steps 0: expected at least 1"),
        ({"steps": 2.5}, "'steps' is 2.5; expected a whole number"),
        ({"steps": True}, "'steps' is true"),
        ({"steps": []}, "'steps' is \\[\\]"),
        ({"learning_rate": "fast"}, "'learning_rate' is \"fast\"; expected a number"),
        ({"learning_rate": float("nan")}, "learning_rate nan"),
        ({"learning_rate": -1}, "learning_rate -1.0: expected above 0"),
        ({"frozen_stages": 6}, "frozen_stages 6: expected 0 to 5"),
        ({"device": "tpu"}, "'device' is \"tpu\""),
    ],
)
def test_impossible_params_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_fine_tune_params(given, DEVICES)


def test_among_all_the_others_params_are_not_its_own() -> None:
    trainers = {"amd_das": None, "fine_tune": None}
    params = {"preset": "smoke", "device": "cpu", "amd_das": {"preset": "paper"}, "fine_tune": {"steps": 5}}
    assert params_of("fine_tune", params, trainers, {"preset"}) == {"device": "cpu", "steps": 5}
    assert params_of("amd_das", params, trainers, {"steps"}) == {"device": "cpu", "preset": "paper"}


def test_nothing_labelled_is_refused_before_work_starts_but_stands_in_nobodys_way(
    task: FineTuneTask, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"no scan in .* has a final label") as caught:
        task.check(FineTuneParams())
    assert caught.value.status == 422
    assert task.check_among_all(FineTuneParams()) == FineTuneParams(among_all=True)
    assert "--unless-unlabelled" in task.command(FineTuneParams(among_all=True), tmp_path / "p.json")


def test_labels_make_it_ready_and_a_damaged_one_is_named(
    task: FineTuneTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labelled(tmp_path / "studies", "head")
    task.check(FineTuneParams())
    write_labelled(tmp_path / "studies", "broken")
    (tmp_path / "studies" / "labels" / "final" / "broken.nii.gz").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"1 of 2 labels cannot be read; .*broken"):
        task.check(FineTuneParams())
    (tmp_path / "studies" / "labels" / "final" / "broken.nii.gz").unlink()
    monkeypatch.setenv("AMD_DAS_MODEL_DIR", str(tmp_path / "none"))
    with pytest.raises(ModelError, match="no model"):
        task.check(FineTuneParams())


def test_a_pacs_that_does_not_answer_is_an_error_before_work_starts(task: FineTuneTask, tmp_path: Path) -> None:
    away = FineTuneTask("http://127.0.0.1:9/dicom-web", tmp_path / "runs", task.settings)
    with pytest.raises(PacsUnreachableError, match=r"127\.0\.0\.1:9"):
        away.check(FineTuneParams())


def test_the_command_line_of_a_job(task: FineTuneTask, tmp_path: Path) -> None:
    command = task.command(FineTuneParams(steps=7, device="cpu"), tmp_path / "progress.json")
    assert command[:4] == [sys.executable, "-m", "amd_das.cli", "fine-tune"]
    assert dict(zip(command[4::2], command[5::2], strict=True)) == {
        "--studies": str(tmp_path / "studies"),
        "--workdir": str(tmp_path / "runs" / "studies"),
        "--model-dir": str(tmp_path / "model"),
        "--steps": "7",
        "--learning-rate": "0.001",
        "--frozen-stages": "1",
        "--device": "cpu",
        "--progress-file": str(tmp_path / "progress.json"),
    }
    assert "--device" not in task.command(FineTuneParams(), tmp_path / "progress.json")


def test_a_job_says_what_came_of_it(tmp_path: Path) -> None:
    job = Job(id="1", model="fine_tune", request={}, command=[], group="1", submitted=0.0)
    (tmp_path / "progress.json").write_text(
        '{"status": "done", "version": null, "note": "kept v1, not published: worse"}'
    )
    assert outcome(job, tmp_path, 0) == ("DONE", "kept v1, not published: worse")
