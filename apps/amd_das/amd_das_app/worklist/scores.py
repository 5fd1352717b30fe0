"""What the model thinks of each scan, for each of its versions: one SQLite file that outlives its server."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from amd_das.errors import ConfigError

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """Of one scan under one version of the model."""

    image: str
    """Id of the scan."""

    version: str
    """Of the model."""

    image_stamp: str
    """Changes when the scan does."""

    label_stamp: str = ""
    """Changes when the final label does; empty where there was none."""

    error: str = ""
    """Why there are no numbers."""

    volume_ml: float | None = None
    lesions: int | None = None
    entropy: float | None = None
    flip_consistency: float | None = None
    """See :mod:`amd_das.active_learning.uncertainty`."""

    fingerprint: bytes = b""
    """See :mod:`amd_das.active_learning.diversity`; uint64, little-endian."""

    label_ml: float | None = None
    dice: float | None = None
    hd95_mm: float | None = None
    """Of the automatic outline against the final label; None without one, or where undefined."""

    has_thumbnail: bool = False

    scored: float = 0.0
    """When, seconds since 1970."""

    @property
    def volume_error_ml(self) -> float | None:
        """Automatic less final."""
        if self.volume_ml is None or self.label_ml is None:
            return None
        return self.volume_ml - self.label_ml

    @property
    def bits(self) -> np.ndarray | None:
        """The fingerprint as (n,) uint64."""
        return np.frombuffer(self.fingerprint, "<u8") if self.fingerprint else None


_COLUMNS: Final = [item.name for item in fields(CaseScore) if item.name != "has_thumbnail"]
_TYPES: Final = {"fingerprint": "BLOB", "lesions": "INTEGER"} | dict.fromkeys(
    ("image", "version", "image_stamp", "label_stamp", "error"), "TEXT"
)
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS scores (
    {", ".join(f"{name} {_TYPES.get(name, 'REAL')}" for name in _COLUMNS)}, thumbnail BLOB,
    PRIMARY KEY (image, version)
);
CREATE TABLE IF NOT EXISTS turns (
    image TEXT PRIMARY KEY, state TEXT NOT NULL, annotator TEXT NOT NULL, since REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS passed (
    image TEXT, annotator TEXT, since REAL NOT NULL, PRIMARY KEY (image, annotator)
);
"""


class ScoreStore:
    """Any thread may call."""

    def __init__(self, folder: Path) -> None:
        """Open the file in this folder, or make it, for its owner alone.

        Where it cannot be written the server works all the same, and forgets the scores when it ends.

        Raises:
            ConfigError: it is damaged.
        """
        path: Path | str = folder / "worklist.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            logger.error("scores are not kept: %s cannot be written (%s)", path, error.strerror)
            path = ":memory:"
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"version {version}, expected {SCHEMA_VERSION}")
            self._database.executescript(_SCHEMA)
            self._database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} is no usable worklist ({error}); move it away to begin anew") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows."""
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def put(self, score: CaseScore, thumbnail: bytes = b"") -> None:
        """In place of an earlier one of the same scan and version; of older versions, two are kept for each scan."""
        row = {**asdict(score), "scored": score.scored or time.time(), "thumbnail": thumbnail}
        del row["has_thumbnail"]
        with self.writing() as database:
            database.execute(
                f"INSERT OR REPLACE INTO scores ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )
            database.execute(
                "DELETE FROM scores WHERE image = ? AND version NOT IN "
                "(SELECT version FROM scores WHERE image = ? ORDER BY scored DESC LIMIT 3)",
                (score.image, score.image),
            )

    def of_version(self, version: str) -> dict[str, CaseScore]:
        """By image."""
        columns = ", ".join(_COLUMNS)
        rows = self.read(f"SELECT length(thumbnail) > 0, {columns} FROM scores WHERE version = ?", (version,))
        found = (CaseScore(has_thumbnail=bool(has), **dict(zip(_COLUMNS, row, strict=True))) for has, *row in rows)
        return {score.image: score for score in found}

    def thumbnail(self, image: str, version: str) -> bytes:
        """PNG; empty where there is none."""
        rows = self.read("SELECT thumbnail FROM scores WHERE image = ? AND version = ?", (image, version))
        return bytes(rows[0][0]) if rows else b""

    def forget_labels(self, version: str) -> None:
        """Have every label of a version compared again."""
        with self.writing() as database:
            database.execute("UPDATE scores SET label_stamp = '?' WHERE version = ? AND label_stamp != ''", (version,))

    def images(self) -> set[str]:
        """Of which anything is known."""
        tables = ("scores", "turns", "passed")
        return {row[0] for row in self.read(" UNION ".join(f"SELECT image FROM {table}" for table in tables))}

    def forget(self, images: set[str]) -> None:
        """Remove all that is known of these scans."""
        if not images:
            return
        with self.writing() as database:
            for image in images:
                for table in ("scores", "turns", "passed"):
                    database.execute(f"DELETE FROM {table} WHERE image = ?", (image,))

    def close(self) -> None:
        """Nothing may be called afterwards."""
        with self._lock:
            self._database.close()
