"""`amd-das export` as a user types it: what is said, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from helpers.heads import save_blood_detector

from amd_das import models
from amd_das.cli import DONE, REFUSED, main
from amd_das.conventions import RESEARCH_NOTICE

Run = Callable[..., int]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """Two versions; the second is in use."""
    save_blood_detector(tmp_path / "model", bias=-12.0)
    save_blood_detector(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def export(model_dir: Path) -> Run:
    return lambda *arguments: main(["export", *map(str, arguments), "--model-dir", str(model_dir)])


def test_a_bundle_has_the_card_of_its_version(
    export: Run, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("bundle", "-o", tmp_path / "out" / "bundle") == DONE
    said = capsys.readouterr().out
    version = models.current_version(model_dir)
    assert f"version {version} as a MONAI Bundle in {tmp_path / 'out' / 'bundle'}" in said
    assert "knows no failure cases" in said and RESEARCH_NOTICE in said
    card = (tmp_path / "out" / "bundle" / "docs" / "README.md").read_text()
    assert f"{version}, SHA-256" in card and "## Failure cases" in card and "python -m monai.bundle run" in card


def test_another_version_can_be_named(export: Run, model_dir: Path, tmp_path: Path) -> None:
    (other,) = set(models.list_versions(model_dir)) - {models.current_version(model_dir)}
    assert export("onnx", "--version", other, "-o", tmp_path / "a.onnx") == DONE
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert told["version"] == other


def test_onnx_says_how_it_compares(export: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("onnx", "-o", tmp_path / "network.onnx") == DONE
    said = capsys.readouterr().out
    assert "opset 17" in said and "compared with PyTorch on 6 slices" in said and RESEARCH_NOTICE in said


def test_failure_cases_come_from_a_benchmark(
    export: Run, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"models": {"another": {}}, "cases": []}))
    assert export("bundle", "-o", tmp_path / "bundle", "--benchmark", path) == REFUSED
    assert "is about another; expected" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
    estimate = {"n": 3, "mean": 0.25, "median": 0.2, "low": 0.1, "high": 0.4}
    overall = {
        **dict.fromkeys(("bleeds", "negatives", "found", "false_alarms"), 3),
        "worst_false_positive_ml": 1.5,
        "measures": dict.fromkeys(("dice", "volume_bias_ml", "false_positive_ml"), estimate),
    }
    version = models.current_version(model_dir)
    case = {"case": "Doe^Jane", "model": version, "lesions_ref": 1, "dice": 0.1, "subtypes": ["iph"]}
    case |= {"volume_ml_ref": 9.0, "volume_ml_pred": 1.0}
    path.write_text(json.dumps({"models": {version: {"overall": overall, "by": {}}}, "cases": [case]}))
    assert export("bundle", "-o", tmp_path / "bundle", "--benchmark", path) == DONE
    card = (tmp_path / "bundle" / "docs" / "README.md").read_text()
    assert "| Dice | 0.250 [0.100 to 0.400] |" in card and "| 1 | IPH | 9.0 | 1.0 | 0.100 |" in card
    assert not any("Jane" in file.read_text() for file in tmp_path.glob("bundle/docs/*"))
    assert export("bundle", "-o", tmp_path / "named", "--benchmark", path, "--case-names") == DONE
    assert "| Doe^Jane | IPH |" in (tmp_path / "named" / "docs" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("bundle", "--version", "2020-01-01-00000000", "-o", "out"),
            "no model version '2020-01-01-00000000'; there are",
        ),
        (("onnx", "-o", "out"), "out does not end in .onnx; name the file"),
        (("onnx", "-o", "out.onnx", "--benchmark", "r.json"), "an ONNX file holds no model card"),
        (("bundle", "-o", "out", "--case-names"), "give --benchmark report.json"),
        (("bundle", "-o", "out", "--benchmark", "r.json"), "no report r.json"),
        (("bundle", "-o", "full"), "full is not empty; expected a new or an empty folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    export: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    assert export(*arguments) == REFUSED
    assert expected in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "model"]
    assert (tmp_path / "full" / "mine").read_text() == "mine"


def test_without_a_model_there_is_nothing_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["export", "bundle", "-o", out, "--model-dir", str(tmp_path / "none")]) == REFUSED
    assert "no model: 'current' is missing" in capsys.readouterr().err
    assert main(["export", "bundle", "-o", out, "--model-dir", str(tmp_path), "--version", "x"]) == REFUSED
    assert "no model version 'x'; there are: none" in capsys.readouterr().err
