"""The command line as a whole: what it refuses, and that help answers at once."""

import subprocess
import sys

import pytest

from amd_das import __version__, cli
from amd_das.conventions import RESEARCH_NOTICE


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
