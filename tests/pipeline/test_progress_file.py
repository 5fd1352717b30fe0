"""The progress file tells other processes what the terminal tells people."""

import json
from pathlib import Path

from amd_das.pipeline.console import describe
from amd_das.pipeline.progress_file import ProgressFile
from amd_das.pipeline.steps import PipelineProgress

HALF = PipelineProgress(
    step="synthesis",
    number=4,
    count=7,
    done=20,
    total=40,
    overall=0.34567,
    losses={"cycle": 0.123456},
    seconds_left=75.2,
    message="a smaller batch",
)


def read(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_it_says_what_runs_and_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    file = ProgressFile(path, "smoke")
    assert read(path)["status"] == "running"
    file.tell(HALF)
    now = read(path)
    assert (now["step"], now["done"], now["total"], now["overall"]) == ("synthesis", 20, 40, 0.3457)
    assert (now["losses"], now["seconds_left"], now["message"]) == ({"cycle": 0.123456}, 75.2, "a smaller batch")
    file.end("done", version="2026-01-01-abcdef01")
    now = read(path)
    assert (now["status"], now["overall"], now["version"]) == ("done", 1.0, "2026-01-01-abcdef01")
    assert [entry.name for entry in tmp_path.iterdir()] == ["progress.json"]


def test_an_error_is_told(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "p.json", "smoke")
    file.end("error", error="the disk is full")
    assert read(tmp_path / "p.json")["error"] == "the disk is full"


def test_a_line_for_people() -> None:
    assert describe(HALF) == "4/7 synthesis 20/40  cycle 0.123  1:15 left"
