"""How far a training is: its progress file, in a sentence and in the words of MONAI Label's clients."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

TOTAL_EPOCHS: Final = 100
"""Slicer and OHIF draw epoch / total_epochs; here that is per cent of the whole training."""


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object; empty when there is none to be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def duration(seconds: float) -> str:
    """``0:01:40``."""
    return str(timedelta(seconds=int(seconds)))


def percent_of(progress: Mapping[str, Any]) -> float:
    """Part of the whole training that is done, 0 to 100."""
    return round(100 * min(max(float(progress.get("overall") or 0.0), 0.0), 1.0), 1)


def sentence(progress: Mapping[str, Any]) -> str:
    """One line; empty when there is no progress yet."""
    if not progress:
        return ""
    parts = [
        f"{percent_of(progress):.0f} %",
        f"step {progress.get('number')} of {progress.get('count')}, {progress.get('step')}: "
        f"{progress.get('done')} of {progress.get('total')}",
    ]
    if losses := progress.get("losses"):
        parts.append(", ".join(f"{name} {value:.3g}" for name, value in losses.items()))
    if (left := progress.get("seconds_left")) is not None:
        parts.append(f"{duration(left)} left in this step")
    if message := progress.get("message"):
        parts.append(str(message))
    return "; ".join(parts)


NEVER_TRAINED: Final[Mapping[str, Any]] = {
    "epoch": 0,
    "total_epochs": TOTAL_EPOCHS,
    "percent": 0.0,
    "status": "",
    "total_time": duration(0),
}
"""Clients take a trainer as not running by its total time; with nothing said they would draw 100 %."""


def train_stats(
    progress: Mapping[str, Any], *, status: str, start: float, end: float | None, note: str
) -> dict[str, Any]:
    """What ``/info/`` says about a trainer.

    Args:
        progress: content of the progress file; empty before the first report.
        status: MONAI Label's word for the job.
        start: when it was started, seconds since the epoch.
        end: when it was over; None while it is not. Only then is there a ``total_time``.
        note: why it ended; empty otherwise.
    """
    percent = 100.0 if status == "DONE" else percent_of(progress)
    stats = {
        "epoch": int(percent),
        "total_epochs": TOTAL_EPOCHS,
        "percent": percent,
        "status": status,
        "stage": progress.get("step", ""),
        "stage_number": progress.get("number", 0),
        "stage_count": progress.get("count", 0),
        "stage_epoch": progress.get("done", 0),
        "stage_total_epochs": progress.get("total", 0),
        "losses": progress.get("losses") or {},
        "seconds_left": progress.get("seconds_left"),
        "message": note or progress.get("message", ""),
        "preset": progress.get("preset", ""),
        "version": progress.get("version"),
        "start_ts": int(start),
    }
    if end is not None:
        stats |= {"total_time": duration(end - start), "seconds_left": None}
    return stats
