"""What a training measured, a line of JSON each: {"step", "losses"} or {"step", "validation"}.

An interrupted and continued training leaves the same lines as an uninterrupted one.
"""

import json
from pathlib import Path
from typing import Any, Final

from amd_das.files import write_whole

NAME: Final = "history.jsonl"


def append(workdir: Path, entry: dict[str, Any]) -> None:
    """Add a line."""
    with (workdir / NAME).open("a") as file:
        file.write(json.dumps(entry) + "\n")


def read(workdir: Path) -> list[dict[str, Any]]:
    """All whole lines; none if there is no history."""
    path = workdir / NAME
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def cut(workdir: Path, step: int) -> None:
    """Drop what was noted after a step, and a line that was half written."""
    entries = [entry for entry in read(workdir) if entry["step"] <= step]
    write_whole(workdir / NAME, "".join(json.dumps(entry) + "\n" for entry in entries).encode())
