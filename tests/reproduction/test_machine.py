"""Where a table was made."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from amd_das.processes import processors
from amd_das.reproduction import machine


def test_the_machine_is_said() -> None:
    said = machine.machine()
    assert re.search(rf"\S.*, \d+ of {os.cpu_count()} cores.*, torch \d", said)
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_the_commit_is_said_and_whether_the_package_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PACKAGE", tmp_path)
    assert machine.commit() is None, "no checkout"
    (tmp_path / "__init__.py").write_text("")
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run((*git, "init", "-q"), check=True)
    assert machine.commit() is None, "not of this checkout"
    subprocess.run((*git, "add", "."), check=True)
    subprocess.run((*git, "commit", "-q", "-m", "a"), check=True)
    said = machine.commit()
    assert said is not None
    assert re.fullmatch(r"[0-9a-f]{10}", said)
    (tmp_path / "new.py").write_text("")
    assert machine.commit() == f"{said}+"
