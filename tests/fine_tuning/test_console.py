"""The command ``amd-das fine-tune``: what it prints, tells other programs, and does when it is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.heads import save_blood_detector
from helpers.tiny_fine_tuning import tiny_fine_tuning, write_labelled

from amd_das import cli, models
from amd_das.fine_tuning.console import fine_tune_in_terminal
from amd_das.training import checkpoints


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, bleed_x in (("a", 10.0), ("b", -10.0), ("c", 14.0)):
        write_labelled(tmp_path / "studies", name, bleed_x=bleed_x)
    save_blood_detector(tmp_path / "model")
    return tmp_path


def options(place: Path, *more: str) -> list[str]:
    given = {"--workdir": place / "work", "--model-dir": place / "model", "--progress-file": place / "progress.json"}
    return ["fine-tune", *(part for name, value in given.items() for part in (name, str(value))), *more]


def progress(place: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((place / "progress.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def test_it_says_what_came_of_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = fine_tune_in_terminal(
        place / "studies",
        place / "work",
        place / "model",
        tiny_fine_tuning(learning_rate=1e-6),
        processes=1,
        progress_file=place / "progress.json",
    )
    said = capsys.readouterr()
    version = models.current_version(place / "model")
    assert status == 0
    assert f"published {version}: not worse on 1 held-out bleed(s)" in said.out and "Not a medical device" in said.out
    assert "100%" in said.err and "learnt from labelled CT alone" in said.err
    told = progress(place)
    assert (told["status"], told["version"], told["overall"]) == ("done", version, 1.0)
    assert str(told["note"]).startswith(f"published {version}")

    assert cli.main(["models", "list", "--model-dir", str(place / "model")]) == 0
    assert f"* {version}  " in capsys.readouterr().out


def test_a_version_that_was_kept_is_listed_with_the_reason(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b", "c"):
        (place / "studies" / "labels" / "final" / f"{name}.nii.gz").unlink()
    before = models.current_version(place / "model")
    assert cli.main(options(place, "--studies", str(place / "studies"), "--device", "cpu", "--processes", "1")) == 0
    said = capsys.readouterr().out
    assert "not published: no labelled scan with a bleed is held out" in said
    told = progress(place)
    assert told["version"] is None and str(told["note"]).startswith("kept ")
    assert cli.main(["models", "--model-dir", str(place / "model")]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line for line in listed if line.startswith("*")] == [f"* {before}"]
    assert any("kept, not published: no labelled scan" in line for line in listed)
    kept = str(told["note"]).split()[1].rstrip(",")
    assert cli.main(["models", "use", kept, "--model-dir", str(place / "model")]) == 0
    assert models.current_version(place / "model") == kept


def test_nothing_labelled_is_an_error_unless_that_was_expected(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (place / "studies" / "labels" / "final").iterdir():
        path.unlink()
    command = options(place, "--studies", str(place / "studies"))
    assert cli.main(command) == 2
    assert "error: no scan in" in capsys.readouterr().err
    assert progress(place)["status"] == "error"
    assert cli.main([*command, "--unless-unlabelled"]) == 0
    assert "nothing was learnt: no scan in" in capsys.readouterr().out
    told = progress(place)
    assert told["status"] == "done" and str(told["note"]).startswith("nothing was learnt")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--studies", "none"], "none is no folder"),
        (["--studies", "http://127.0.0.1:9/dicom-web"], "127.0.0.1:9"),
        (["--labels", "{}/studies", "--steps", "0"], "steps 0: expected at least 1"),
        (["--labels", "{}/studies", "--frozen-stages", "7"], "frozen_stages 7: expected 0 to 5"),
        (["--labels", "{}/studies", "--learning-rate", "nan"], "learning_rate nan: expected above 0"),
        (["--labels", "{}/studies", "--device", "tpu9"], "'tpu9' cannot be used"),
    ],
)
def test_impossible_commands_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert cli.main(options(place, *(part.format(place) for part in more))) == 2
    assert says in capsys.readouterr().err


def test_labels_and_studies_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--labels", "x", "--studies", "y"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["fine-tune", *more])
        assert caught.value.code == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_or_stopped_it_continues(place: Path, number: signal.Signals) -> None:
    more = ["--studies", str(place / "studies"), "--device", "cpu", "--processes", "1", "--steps", "160"]
    command = [sys.executable, "-m", "amd_das.cli", *options(place, *more, "--learning-rate", "1e-5")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not (progress(place).get("step") == "fine_tuning" and int(str(progress(place).get("done"))) >= 45):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    if number == signal.SIGTERM:
        assert progress(place)["status"] == "stopped"
    (kept,) = (place / "work").rglob(checkpoints.NAME)
    reached = checkpoints.load(kept)["run"]["step"]
    assert reached % 20 == 0 or number == signal.SIGTERM, "killed, it has what it last saved"
    assert (40 if number == signal.SIGKILL else 45) <= reached < 160
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split("continuing at step ")[1].split()[0]) == reached
    assert "published" in done.stdout, done.stdout
