"""``phantom`` and ``prepare``."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from amd_das import cli
from amd_das.slices.cases import PrepareConfig
from amd_das.slices.prepare import PrepareReport


def test_phantom_writes_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: dict[str, Any] = {}
    files = ModuleType("amd_das.phantom.files")
    files.write_cases = lambda **options: seen.update(options) or [Path("out/p-0"), Path("out/p-1")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amd_das.phantom.files", files)
    command = ["phantom", "--count", "2", "--kind", "flair", "--format", "dicom", "--seed", "5", "-o", "out"]
    assert cli.main(command) == 0
    assert seen == {"count": 2, "kind": "flair", "format": "dicom", "seed": 5, "directory": Path("out")}
    assert capsys.readouterr().out.splitlines() == ["out/p-0", "out/p-1"]


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
