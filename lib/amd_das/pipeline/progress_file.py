"""Progress where other processes can read it: a JSON file, replaced as a whole."""

import json
import time
from pathlib import Path
from typing import Any, Literal

from amd_das.files import write_whole
from amd_das.pipeline.steps import PipelineProgress

Status = Literal["running", "done", "stopped", "error"]


class ProgressFile:
    """Keeps the file up to date; at most about one write a second while running."""

    def __init__(self, path: Path, preset: str) -> None:
        self._path, self._started, self._written = path, time.monotonic(), 0.0
        self._state: dict[str, Any] = {
            "preset": preset,
            "status": "running",
            "step": "",
            "number": 0,
            "count": 0,
            "done": 0,
            "total": 0,
            "overall": 0.0,
            "losses": {},
            "seconds_left": None,
            "message": "",
            "seconds": 0.0,
            "error": None,
            "version": None,
            "note": "",
        }
        self._write()

    def tell(self, now: PipelineProgress) -> None:
        """A report of the pipeline; a message is kept until the next one."""
        before = self._state["step"], self._state["message"]
        self._state |= {
            "step": now.step,
            "number": now.number,
            "count": now.count,
            "done": now.done,
            "total": now.total,
            "overall": round(now.overall, 4),
            "losses": dict(now.losses),
            "seconds_left": now.seconds_left,
            "message": now.message or self._state["message"],
        }
        if time.monotonic() - self._written > 1 or (now.step, self._state["message"]) != before:
            self._write()

    def end(self, status: Status, *, error: str | None = None, version: str | None = None, note: str = "") -> None:
        """The last word; ``note`` says what came of it, where that is more than a published version."""
        self._state |= {"status": status, "error": error, "version": version, "note": note}
        if status == "done":
            self._state |= {"overall": 1.0, "seconds_left": 0.0}
        self._write()

    def _write(self) -> None:
        self._state["seconds"] = round(time.monotonic() - self._started, 1)
        write_whole(self._path, (json.dumps(self._state) + "\n").encode())
        self._written = time.monotonic()
