"""The trainers: what they offer, what they take, and the command line a job runs."""

import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import stand_in_training

from amd_das.errors import AmdDasError, ConfigError, NotFoundError, PacsUnreachableError, TrainingError
from amd_das_app.routes.train import params_of
from amd_das_app.settings import ServerSettings
from amd_das_app.training.tasks import (
    Training,
    TrainParams,
    make_trainers,
    parse_train_params,
    training_folder,
)

DEVICES = {"Some GPU": "cuda:0", "cpu": "cpu"}


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(runs_dir=str(tmp_path / "runs"))


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


def test_trainers_in_order_with_a_short_typed_config(studies: Path, settings: ServerSettings) -> None:
    trainers = make_trainers(Training.of({}, str(studies), settings), settings)
    assert list(trainers) == ["amd_das", "matching", "synthesis", "segmentation", "fine_tune"]
    for trainer in list(trainers.values())[:-1]:
        info = trainer.info()
        assert info["config"].keys() == {"preset", "device"}
        assert info["config"]["preset"] == ["shipped", "adapt", "renew", "smoke", "paper"]
        assert all(isinstance(name, str) for name in info["config"]["device"])
        assert "phantom FLAIR" in info["description"]
    assert trainers["amd_das"].stats()["total_time"] == "0:00:00"
    assert not settings.runs_folder.exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, TrainParams(preset="shipped", device=None)),
        ({"preset": None, "device": None}, TrainParams()),
        ({"preset": "smoke", "device": "Some GPU", "client_id": "x"}, TrainParams(preset="smoke", device="cuda:0")),
        ({"preset": ["paper", "smoke"], "device": ["cpu"]}, TrainParams(preset="paper", device="cpu")),
        ({"model": "amd_das", "name": "train_01", "gpus": "all", "local_rank": 0, "multi_gpu": True}, TrainParams()),
    ],
)  # fmt: skip
def test_params(given: dict[str, Any], expected: TrainParams) -> None:
    assert parse_train_params(given, DEVICES) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_epochs": 5}, "unknown 'max_epochs'; allowed: preset, device"),
        ({"source": "/etc"}, "unknown 'source'"),
        ({"preset": "best"}, "'preset' is \"best\"; expected one of shipped, adapt, renew, smoke, paper"),
        ({"preset": {}}, "'preset' is {}"),
        ({"preset": []}, "'preset' is \\[\\]"),
        ({"device": "tpu"}, "'device' is \"tpu\""),
    ],
)
def test_impossible_params_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_train_params(given, DEVICES)


def test_params_of_all_trainers_are_each_ones_own_and_what_stands_beside_them() -> None:
    trainers = {"amd_das": None, "matching": None}
    params = {"amd_das": {"preset": "smoke"}, "preset": "paper", "client_id": "user-xyz"}
    assert params_of("amd_das", params, trainers) == {"preset": "smoke", "client_id": "user-xyz"}
    assert params_of("matching", params, trainers) == {"preset": "paper", "client_id": "user-xyz"}
    with pytest.raises(ConfigError, match="'matching' should be an object"):
        params_of("matching", {"matching": "smoke"}, trainers)


def test_the_command_line_of_a_job(
    studies: Path, settings: ServerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMD_DAS_MODEL_DIR", str(tmp_path / "model"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mri").mkdir()
    training = Training.of({"source": "mri"}, "studies", settings)
    command = training.command("translation", TrainParams(preset="smoke", device="cpu"), tmp_path / "progress.json")
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert command[:4] == [sys.executable, "-m", "amd_das.cli", "pipeline"]
    assert options == {
        "--preset": "smoke",
        "--source": str(tmp_path / "mri"),
        "--target": str(studies),
        "--workdir": str(training.folder),
        "--model-dir": str(tmp_path / "model"),
        "--until": "translation",
        "--device": "cpu",
        "--progress-file": str(tmp_path / "progress.json"),
    }
    bare = Training.of({}, "studies", settings).command("matching", TrainParams(), tmp_path / "progress.json")
    assert {"--source", "--device"}.isdisjoint(bare)
    onwards = training.command("publication", TrainParams(preset="adapt"), tmp_path / "progress.json")
    assert "--source" not in onwards, "it goes on from the model in use, with CT alone"
    assert onwards[onwards.index("--target") + 1] == str(studies)


@pytest.mark.parametrize(("manner", "says"), [("quick", ""), ("fail", "matching: only 3 slices")])
def test_called_by_monai_labels_own_server_it_works_until_the_end(
    studies: Path, settings: ServerSettings, monkeypatch: pytest.MonkeyPatch, manner: str, says: str
) -> None:
    def command(self: Training, until: str, params: TrainParams, progress: Path) -> list[str]:
        script = [sys.executable, "-I", str(stand_in_training.__file__), manner]
        return [*script, "--workdir", str(self.folder), "--progress-file", str(progress)]

    monkeypatch.setattr(Training, "command", command)
    monkeypatch.setattr(Training, "check", lambda self, params: None)
    trainer = make_trainers(Training.of({}, str(studies), settings), settings)["matching"]
    request = {"model": "matching", "preset": "smoke", "client_id": "user-xyz", "gpus": "all", "local_rank": 0}
    if says:
        with pytest.raises(TrainingError, match=says):
            trainer(request, None)
    else:
        assert trainer(request, None)["status"] == "DONE"
    assert trainer.stats()["total_time"]


def test_each_studies_folder_has_its_own_folder(studies: Path, settings: ServerSettings, tmp_path: Path) -> None:
    (tmp_path / "other" / "studies").mkdir(parents=True)
    one, same, other = (
        training_folder(str(path), settings)
        for path in (studies, studies.parent / "other" / ".." / "studies", tmp_path / "other" / "studies")
    )
    assert one == same != other
    assert one.parent == other.parent == tmp_path / "runs"
    assert one.name.startswith("studies-")


def test_a_source_that_is_not_there_is_refused(studies: Path, settings: ServerSettings) -> None:
    with pytest.raises(NotFoundError, match=r"source folder .*none does not exist"):
        Training.of({"source": str(studies / "none")}, str(studies), settings)


def test_studies_without_scans_are_refused_before_work_starts(studies: Path, settings: ServerSettings) -> None:
    with pytest.raises(AmdDasError) as caught:
        Training.of({}, str(studies), settings).check(TrainParams(preset="smoke"))
    assert caught.value.status in (404, 422)


def test_studies_in_a_pacs_that_is_down_are_said_to_be(settings: ServerSettings) -> None:
    training = Training.of({}, "http://127.0.0.1:9/dicom-web", settings)
    assert training.studies == "http://127.0.0.1:9/dicom-web"
    with pytest.raises(PacsUnreachableError, match=r"127\.0\.0\.1:9"):
        training.check(TrainParams(preset="smoke"))
    command = training.command("publication", TrainParams(), Path("progress.json"))
    assert command[command.index("--target") + 1] == training.studies
