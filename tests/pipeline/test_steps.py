"""Keyed steps: what changed is made again, the rest is found."""

import errno
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from amd_das.errors import TrainingError
from amd_das.pipeline.steps import DONE, PipelineProgress, Report, Runner, Step, only_one

SHARES = {"first": 1.0, "second": 3.0}


class Counting:
    """A step's work that counts how often it is done."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path, report: Report) -> Mapping[str, Any]:
        self.calls += 1
        report(1, 2, losses={"loss": 0.5})
        (folder / "output").write_text("made")
        return {"calls": self.calls}


def test_a_finished_step_is_not_done_again(tmp_path: Path) -> None:
    work = Counting()
    step = Step(name="first", inputs={"size": 3}, make=work)
    made = Runner(tmp_path, SHARES).run(step)
    found = Runner(tmp_path, SHARES).run(step)
    assert (work.calls, made.fresh, found.fresh) == (1, True, False)
    assert found.summary == made.summary == {"calls": 1}
    assert found.folder == made.folder
    assert (made.folder / "output").read_text() == "made"


@pytest.mark.parametrize("inputs", [{"size": 4}, {"size": 3, "more": None}, {}])
def test_another_input_is_another_output(tmp_path: Path, inputs: dict[str, Any]) -> None:
    work = Counting()
    runner = Runner(tmp_path, SHARES)
    before = runner.run(Step(name="first", inputs={"size": 3}, make=work))
    after = runner.run(Step(name="first", inputs=inputs, make=work))
    assert work.calls == 2
    assert before.folder != after.folder


def test_the_order_of_settings_does_not_matter() -> None:
    work = Counting()
    assert (
        Step(name="a", inputs={"x": 1, "y": 2}, make=work).key == Step(name="a", inputs={"y": 2, "x": 1}, make=work).key
    )


def test_an_interrupted_step_finds_its_folder_again(tmp_path: Path) -> None:
    def broken(folder: Path, report: Report) -> Mapping[str, Any]:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    def whole(folder: Path, report: Report) -> Mapping[str, Any]:
        return {"found": (folder / "half").exists()}

    with pytest.raises(KeyboardInterrupt):
        Runner(tmp_path, SHARES).run(Step(name="first", inputs={}, make=broken))
    result = Runner(tmp_path, SHARES).run(Step(name="first", inputs={}, make=whole))
    assert result.summary == {"found": True}
    assert (result.folder / DONE).is_file()


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def full(folder: Path, report: Report) -> Mapping[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TrainingError, match="No space left on device; make room"):
        Runner(tmp_path, SHARES).run(Step(name="first", inputs={}, make=full))


def test_progress_counts_the_steps_by_their_share(tmp_path: Path) -> None:
    seen: list[PipelineProgress] = []
    runner = Runner(tmp_path, SHARES, seen.append)
    for name in SHARES:
        runner.run(Step(name=name, inputs={}, make=Counting()))
    assert [(report.step, report.number, report.count) for report in seen[::2]] == [("first", 1, 2), ("second", 2, 2)]
    assert [report.overall for report in seen] == [0.125, 0.25, 0.625, 1.0]
    assert seen[0].losses == {"loss": 0.5}


def test_two_pipelines_do_not_share_a_folder(tmp_path: Path) -> None:
    code = "import sys, pathlib, amd_das.pipeline.steps as s\nwith s.only_one(pathlib.Path(sys.argv[1])): pass"
    with only_one(tmp_path):
        second = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert second.returncode == 1
    assert "another training is at work" in second.stderr
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0
