"""A series to be segmented, as it stands, and which process is at it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

STATES: Final = ("queued", "running", "done", "failed")


@dataclass(frozen=True, kw_only=True)
class PacsJob:
    """One series to be segmented, as it stands."""

    id: str
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    model_version: str
    """The version in use when it was submitted, then the one that made the result; empty for whichever is in use."""

    options: Mapping[str, Any]
    """What was asked for; part of what makes two jobs the same."""

    state: str
    """One of STATES."""

    attempts: int
    """How often it was begun."""

    submitted: float
    """Seconds since the epoch, as are the next two."""

    started: float | None
    """When it was last begun."""

    finished: float | None
    result: Mapping[str, Any] | None
    """What :meth:`JobStore.finish` was given."""

    error: str
    """Why it failed, or why it waits for another attempt; empty otherwise."""

    error_code: str
    """As in :mod:`amd_das.errors`."""


COLUMNS: Final = ", ".join(PacsJob.__dataclass_fields__)
"""Of the table that holds jobs."""


def job_of(row: Sequence[Any]) -> PacsJob:
    """From a row of :data:`COLUMNS`."""
    values = dict(zip(PacsJob.__dataclass_fields__, row, strict=True))
    values["options"] = json.loads(values["options"])
    values["result"] = json.loads(values["result"]) if values["result"] else None
    return PacsJob(**values)


def process_name(pid: int | None = None) -> str:
    """A name no other process has, nor one that gets the same number later."""
    process = psutil.Process(pid)
    return f"{process.pid}@{process.create_time():.2f}"


def lives(owner: str) -> bool:
    """Whether the process of this name is still there."""
    try:
        return process_name(int(owner.partition("@")[0])) == owner
    except (psutil.Error, ValueError):
        return False
