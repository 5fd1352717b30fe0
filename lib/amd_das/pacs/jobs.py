"""Series waiting to be segmented, at work, and what came of them: one SQLite file that outlives its process."""

import hashlib
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from amd_das.errors import ConfigError, NotFoundError
from amd_das.pacs.job import COLUMNS, PacsJob, job_of, lives, process_name

SCHEMA_VERSION: Final = 1

MAX_INTERRUPTIONS: Final = 5
"""A job whose process died this often while at it fails: it may be the cause (ours)."""

INTERRUPTED: Final = "interrupted"
"""Code of such a failure."""

_SCHEMA: Final = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    model_version TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    submitted REAL NOT NULL,
    started REAL,
    finished REAL,
    result TEXT,
    error TEXT NOT NULL DEFAULT '',
    error_code TEXT NOT NULL DEFAULT ''
);
CREATE INDEX jobs_by_key ON jobs (key, number);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX jobs_by_series ON jobs (series_uid, number);
"""


class JobStore:
    """First come, first served; any thread may call, and several processes may share a file."""

    def __init__(self, path: Path, *, keep_finished: int = 2000, keep_days: float = 30.0) -> None:
        """Open the file, or make it, for its owner alone.

        Args:
            path: its folder must exist; SQLite keeps two more files beside it.
            keep_finished: finished jobs that are remembered.
            keep_days: days for which they are.

        Raises:
            ConfigError: the file is no job store of a version this can read.
        """
        self.path, self.keep_finished, self.keep_seconds = path, keep_finished, keep_days * 86400
        self._owner = process_name()
        self._lock = threading.RLock()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path.name} is no usable job store ({error}); move it away to begin anew") from error

    def close(self) -> None:
        """Nothing may be called afterwards."""
        with self._lock:
            self._database.close()

    def submit(
        self,
        study_uid: str,
        series_uid: str,
        model_version: str,
        *,
        options: Mapping[str, Any],
        force: bool = False,
    ) -> tuple[PacsJob, bool]:
        """The newest job of this series, version and options, in whatever state, or a new one at the end of the line.

        Args:
            study_uid: of the series.
            series_uid: of the series.
            model_version: see :class:`PacsJob`.
            options: JSON-ready.
            force: make a new one all the same.

        Returns:
            The job, and whether it is new.
        """
        text = json.dumps(options, sort_keys=True)
        key = hashlib.sha256(json.dumps([series_uid, model_version, text]).encode()).hexdigest()
        with self._writing() as database:
            row = database.execute("SELECT id FROM jobs WHERE key = ? ORDER BY number DESC LIMIT 1", (key,)).fetchone()
            if row and not force:
                return self.get(row[0]), False
            job_id = uuid.uuid4().hex
            database.execute(
                "INSERT INTO jobs (id, key, study_uid, series_uid, model_version, options, state, submitted) "
                "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                (job_id, key, study_uid, series_uid, model_version, text, time.time()),
            )
            return self.get(job_id), True

    def claim(self) -> PacsJob | None:
        """The next job, now running, or None when none is due."""
        now = time.time()
        with self._writing() as database:
            row = database.execute(
                "SELECT id FROM jobs WHERE state = 'queued' AND not_before <= ? ORDER BY number LIMIT 1", (now,)
            ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?, owner = ?, error = '', "
                "error_code = '' WHERE id = ?",
                (now, self._owner, row[0]),
            )
            return self.get(row[0])

    def finish(self, job_id: str, result: Mapping[str, Any], *, model_version: str | None = None) -> PacsJob:
        """Done; ``model_version`` is the one that made the result, if not the one it was submitted for."""
        return self._change(
            job_id,
            "state = 'done', result = ?, finished = ?, error = '', error_code = '', "
            "model_version = COALESCE(?, model_version)",
            (json.dumps(result, allow_nan=False), time.time(), model_version),
        )

    def amend(self, job_id: str, **more: Any) -> PacsJob:
        """Add to the result of a job that is done."""
        with self._writing():
            result = {**(self.get(job_id).result or {}), **more}
            return self._change(job_id, "result = ?", (json.dumps(result, allow_nan=False),))

    def fail(self, job_id: str, message: str, *, code: str = "internal") -> PacsJob:
        """Over without a result."""
        return self._change(
            job_id,
            "state = 'failed', error = ?, error_code = ?, finished = ?",
            (" ".join(message.split()), code, time.time()),
        )

    def postpone(self, job_id: str, message: str, seconds: float, *, code: str = "internal") -> PacsJob:
        """Back to its old place in the line, but not to be begun for a while."""
        return self._change(
            job_id,
            "state = 'queued', error = ?, error_code = ?, not_before = ?",
            (" ".join(message.split()), code, time.time() + seconds),
        )

    def release(self, job_id: str) -> PacsJob:
        """Back to its old place, as if never begun, unless it is over: for an orderly stop."""
        with self._writing():
            job = self.get(job_id)
            if job.state != "running":
                return job
            return self._change(job_id, "state = 'queued', attempts = MAX(0, attempts - 1), not_before = 0", ())

    def interrupted(self) -> Sequence[PacsJob]:
        """Jobs whose process died while at them."""
        with self._lock:
            rows = self._database.execute("SELECT id, owner FROM jobs WHERE state = 'running' ORDER BY number")
            return [self.get(job_id) for job_id, owner in rows.fetchall() if not lives(owner)]

    def requeue_interrupted(self) -> int:
        """Put them back to their old places, or fail those that have been interrupted too often; returns how many."""
        with self._writing():
            jobs = self.interrupted()
            for job in jobs:
                if job.attempts >= MAX_INTERRUPTIONS:
                    why = f"the program ended {job.attempts} times while at it, perhaps for want of memory"
                    self.fail(job.id, why, code=INTERRUPTED)
                else:
                    self._change(job.id, "state = 'queued', not_before = 0", ())
            return len(jobs)

    def remove(self, job_id: str) -> bool:
        """Forget a job that waits; False if it does not wait any more. Raises NotFoundError."""
        with self._writing() as database:
            self.get(job_id)
            return database.execute("DELETE FROM jobs WHERE id = ? AND state = 'queued'", (job_id,)).rowcount > 0

    def expire(self) -> Sequence[str]:
        """Forget finished jobs over the limits; returns their ids."""
        over = "state IN ('done', 'failed') AND (finished < ? OR finished <= ?)"
        with self._writing() as database:
            row = database.execute(
                "SELECT finished FROM jobs WHERE state IN ('done', 'failed') ORDER BY finished DESC LIMIT 1 OFFSET ?",
                (self.keep_finished,),
            ).fetchone()
            limits = (time.time() - self.keep_seconds, row[0] if row else 0.0)
            ids = [found for (found,) in database.execute(f"SELECT id FROM jobs WHERE {over}", limits)]
            database.execute(f"DELETE FROM jobs WHERE {over}", limits)
            return ids

    def get(self, job_id: str) -> PacsJob:
        """Raises NotFoundError."""
        with self._lock:
            row = self._database.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise NotFoundError("no such job; it may have expired. GET /jobs lists those there are")
        return job_of(row)

    def position(self, job_id: str) -> int | None:
        """Place in the line, 1 for the next one; None for a job that does not wait."""
        with self._lock:
            row = self._database.execute(
                "SELECT (SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND number <= this.number) FROM jobs AS this "
                "WHERE id = ? AND state = 'queued'",
                (job_id,),
            ).fetchone()
        return row[0] if row else None

    def count(self, state: str) -> int:
        """How many are in a state."""
        with self._lock:
            counted: int = self._database.execute("SELECT COUNT(*) FROM jobs WHERE state = ?", (state,)).fetchone()[0]
        return counted

    def list(
        self,
        state: str | None = None,
        limit: int = 100,
        *,
        study_uid: str | None = None,
        series_uid: str | None = None,
    ) -> Sequence[PacsJob]:
        """The newest jobs, newest first, all or those that match."""
        given = {"state": state, "study_uid": study_uid, "series_uid": series_uid}
        chosen = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in chosen) or "1"
        with self._lock:
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?", (*chosen.values(), limit)
            ).fetchall()
        return [job_of(row) for row in rows]

    def _prepare(self) -> None:
        with self._writing() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise ConfigError(
                    f"{self.path.name} is of version {version}, expected {SCHEMA_VERSION}; use the program that made "
                    "it, or move it away to begin anew"
                )
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _change(self, job_id: str, assignments: str, values: Sequence[Any]) -> PacsJob:
        with self._writing() as database:
            database.execute(f"UPDATE jobs SET {assignments} WHERE id = ?", (*values, job_id))
            return self.get(job_id)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; within one, the same."""
        with self._lock:
            if self._database.in_transaction:
                yield self._database
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
