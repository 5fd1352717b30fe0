"""The command line: exit statuses, what goes to which stream, and that it calls the right things."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from amd_das import __version__, cli, inference, journey, models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ModelError
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.output.summary import SummaryRow
from amd_das.slices.cases import PrepareConfig
from amd_das.slices.prepare import PrepareReport


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


def test_phantom_writes_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: dict[str, Any] = {}
    files = ModuleType("amd_das.phantom.files")
    files.write_cases = lambda **options: seen.update(options) or [Path("out/p-0"), Path("out/p-1")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amd_das.phantom.files", files)
    command = ["phantom", "--count", "2", "--kind", "flair", "--format", "dicom", "--seed", "5", "-o", "out"]
    assert cli.main(command) == 0
    assert seen == {"count": 2, "kind": "flair", "format": "dicom", "seed": 5, "directory": Path("out")}
    assert capsys.readouterr().out.splitlines() == ["out/p-0", "out/p-1"]


@pytest.mark.parametrize(
    "command",
    [[], ["segment"], ["segment", "a"], ["segment", "-o", "out"], ["phantom", "--kind", "mr", "-o", "x"], ["nothing"]],
)
def test_wrong_command_lines_exit_with_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(command)
    assert exit_.value.code == 2
    assert "usage: amd-das" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["--help"], ["segment", "--help"]])
def test_help_bears_the_research_notice(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(command)
    assert exit_.value.code == 0
    assert RESEARCH_NOTICE in " ".join(capsys.readouterr().out.split())


def test_help_and_version_answer_without_loading_torch() -> None:
    code = (
        "import sys, amd_das.cli as cli\ntry:\n  cli.main(['--version'])\nfinally:\n  assert 'torch' not in sys.modules"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == f"amd-das {__version__}"


def test_models_are_listed_chosen_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = Fcn(FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4))
    first = models.save_version(tmp_path, network, training={}, metrics={"mean_dice": 0.5}, card="c").version
    with torch.no_grad():
        network.classifier.weight += 1
    second = models.save_version(tmp_path, network, training={}, metrics={}, card="c").version
    where = ["--model-dir", str(tmp_path)]

    assert cli.main(["models", *where]) == 0
    assert set(capsys.readouterr().out.splitlines()) == {f"  {first}  mean_dice 0.5", f"* {second}"}
    assert cli.main(["models", "use", first, *where]) == 0
    assert models.current_version(tmp_path) == first
    assert cli.main(["models", "remove", first, *where]) == 2
    assert "is in use" in capsys.readouterr().err
    assert cli.main(["models", "remove", second, *where]) == 0
    assert models.list_versions(tmp_path) == [first]
    assert cli.main(["models", "use", *where]) == 2
    assert "needs a version" in capsys.readouterr().err
    assert cli.main(["models", "use", first, "--benchmark", "report.json", *where]) == 2
    assert "models use takes no --benchmark" in capsys.readouterr().err
    assert cli.main(["models", "card", first, *where]) == 2
    assert "needs --benchmark" in capsys.readouterr().err
    assert cli.main(["models", "card", first, "--benchmark", str(tmp_path / "none.json"), *where]) == 2
    assert "no report" in capsys.readouterr().err


def test_prepare_makes_a_store_and_tells_of_each_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, Any] = {}

    def prepares(
        cases: list[Any], directory: Path, domain: str, config: PrepareConfig, **options: Any
    ) -> PrepareReport:
        options.pop("progress")(len(cases), len(cases), cases[-1].case)
        seen.update(options, cases=[files.case for files in cases], directory=directory, domain=domain, config=config)
        failures = {"b": "not a\nhead CT"} if domain == "target" else {}
        return PrepareReport(cases=7, added=5, slices=130, failures=failures, seconds=1.0)

    monkeypatch.setattr("amd_das.pipeline.preparation.prepare", prepares)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.nii.gz").touch()
        (tmp_path / "masks" / f"{name}.nii.gz").touch()
    folder = str(tmp_path)
    assert cli.main(["prepare", "source", folder, "-o", "s", "--processes", "3", "--every", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pairs: Any folder of image/mask pairs, 2 cases of 2 patients, 2 with a mask",
        "7 cases (5 new), 130 slices in s",
    ]
    assert (seen["cases"], seen["directory"], seen["domain"]) == (["a", "b"], Path("s"), "source")
    assert (seen["processes"], seen["retry"], seen["config"]) == (3, False, PrepareConfig(every=2))
    assert cli.main(["prepare", "target", folder, "-o", "t", "--retry"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "failed: 1; --retry tries them again"
    assert "error: b: not a head CT" in err.splitlines()
    assert (seen["processes"], seen["retry"], seen["domain"]) == (None, True, "target")
    assert cli.main(["prepare", "target", folder, "-o", "t", "--masks", str(tmp_path / "none")]) == 2
