"""``segment``: exit statuses, what goes to which stream, and that it calls the right things."""

from pathlib import Path
from typing import Any

import pytest

from amd_das import cli, inference, journey, models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ModelError
from amd_das.output.summary import SummaryRow


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Puts stand-ins where the command line calls the package, and keeps what they were given."""
    seen: dict[str, Any] = {}

    def load_current(model_dir: Path | None) -> str:
        seen["model_dir"] = model_dir
        return "the model"

    def predictor(model: str, config: inference.InferenceConfig, device: str | None) -> str:
        seen.update(model=model, config=config, device=device)
        return "the predictor"

    def segment_cases(paths: list[Path], predictor: str, directory: Path, **options: Any) -> list[SummaryRow]:
        options.pop("progress")("1/2 a: network", 0.4)
        seen.update(paths=paths, predictor=predictor, directory=directory, **options)
        rows = [SummaryRow(case="a", status="ok", volume_ml=12.34, n_lesions=1, seconds=2.0, warnings="thick slices")]
        if Path("bad") in paths:
            rows.append(SummaryRow(case="bad", status="error", error="not a head CT"))
        return rows

    monkeypatch.setattr(models, "load_current", load_current)
    monkeypatch.setattr(inference, "Predictor", predictor)
    monkeypatch.setattr(journey, "segment_cases", segment_cases)
    return seen


def test_segment_prints_a_line_per_scan(called: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["segment", "a", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["a: 12.3 mL, 1 lesion, 2.0 s", f"Results are in out. {RESEARCH_NOTICE}"]
    assert "warning: a: thick slices" in err
    assert "100%" in err
    assert called["predictor"] == "the predictor"
    assert (called["model"], called["model_dir"], called["device"]) == ("the model", None, None)
    assert called["config"] == inference.InferenceConfig()
    assert (called["paths"], called["directory"], called["formats"]) == ([Path("a")], Path("out"), ("nii.gz",))


def test_segment_hands_its_options_on(called: dict[str, Any]) -> None:
    command = ["segment", "a", "b", "-o", "out", "--model-dir", "m", "--device", "cpu", "--format", "nrrd"]
    assert cli.main([*command, "--threshold", "0.25", "--sure-from", "0"]) == 0
    assert (called["model_dir"], called["device"], called["formats"]) == (Path("m"), "cpu", ("nrrd",))
    assert called["config"] == inference.InferenceConfig(threshold=0.25, sure_from=0.0)
    assert called["paths"] == [Path("a"), Path("b")]


def test_formats_are_a_list(called: dict[str, Any]) -> None:
    assert cli.main(["segment", "a", "-o", "out", "--format", "seg, sr,sc,seg"]) == 0
    assert called["formats"] == ("seg", "sr", "sc")


def test_a_failed_scan_is_told_and_gives_status_1(called: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["segment", "a", "bad", "-o", "out"]) == 1
    out, err = capsys.readouterr()
    assert "error: bad: not a head CT" in err.splitlines()
    assert "a: 12.3 mL" in out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ModelError("no model:\nrestore it"), 2, "error: no model: restore it"),
        (PermissionError(13, "Permission denied", "out"), 2, "error: [Errno 13] Permission denied: 'out'"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_errors_are_one_line_without_traceback(
    error: BaseException,
    status: int,
    line: str,
    called: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(models, "load_current", fails)
    assert cli.main(["segment", "a", "-o", "out"]) == status
    assert capsys.readouterr().err.splitlines() == [line]


def test_an_impossible_threshold_is_refused(called: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["segment", "a", "-o", "out", "--threshold", "7"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert "paths" not in called
