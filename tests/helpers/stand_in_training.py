"""A training that trains nothing but keeps the pipeline's promises to the server: progress, SIGTERM, exit status.

``python stand_in_training.py MANNER … --progress-file FILE``, where MANNER is one of:

quick: done at once; slow: works until stopped, counting on from where an earlier one stopped in this working folder;
deaf: as slow, but ignores SIGTERM and has a child; fail: refuses; crash: ends without a word.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

TOTAL = 10_000


def value_of(option: str) -> Path:
    return Path(sys.argv[sys.argv.index(option) + 1])


def tell(done: int, status: str = "running", **more: Any) -> None:
    report = {
        "step": "synthesis",
        "number": 4,
        "count": 7,
        "done": done,
        "total": TOTAL,
        "overall": 1.0 if status == "done" else 0.4,
        "losses": {"cycle": 0.125},
        "seconds_left": 90.0,
        "message": "",
        "preset": "smoke",
        "status": status,
        "error": None,
        "version": None,
        "seconds": 1.0,
        **more,
    }
    path = value_of("--progress-file")
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report))
    part.replace(path)


def count(manner: str) -> int:
    kept = value_of("--workdir") / "kept"
    done = int(kept.read_text()) if kept.is_file() else 0
    stop = []

    def on_term(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "deaf" else on_term)
    if manner == "deaf":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        sys.stdout.write(f"child {child.pid}\n")
        sys.stdout.flush()
    while not stop:
        done += 1
        tell(done)
        time.sleep(0.02)
    kept.write_text(str(done))
    tell(done, "stopped")
    return 130


def main() -> int:
    manner = sys.argv[1]
    sys.stdout.write(f"working as {manner}, niceness {os.nice(0)}\n")
    sys.stdout.flush()
    if manner == "quick":
        tell(TOTAL, "done", version="20260101-abcdef12")
        return 0
    if manner == "fail":
        sys.stderr.write("error: only 3 slices; expected 100 at least\n")
        tell(0, "error", error="only 3 slices; expected 100 at least")
        return 2
    if manner == "crash":
        tell(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return count(manner)


if __name__ == "__main__":
    sys.exit(main())
