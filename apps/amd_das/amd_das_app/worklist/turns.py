"""Whose turn a scan is: taken by an annotator for a while, or skipped until somebody wants it back."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from amd_das_app.worklist.scores import ScoreStore

LEASE_S: Final = 30 * 60.0
"""A scan that was handed out and not submitted is free again after so long (ours)."""

TAKEN, SKIPPED = "taken", "skipped"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Of one scan."""

    state: str
    """TAKEN or SKIPPED."""

    annotator: str
    since: float


class Turns:
    """Any thread may call; no scan is handed to two at once."""

    def __init__(self, store: ScoreStore, now: Callable[[], float] = time.time) -> None:
        self._store, self._now = store, now

    def all(self) -> dict[str, Turn]:
        """By image; what has run out is left out."""
        rows = self._store.read(
            "SELECT image, state, annotator, since FROM turns WHERE state = ? OR since > ?",
            (SKIPPED, self._now() - LEASE_S),
        )
        return {image: Turn(state=state, annotator=annotator, since=since) for image, state, annotator, since in rows}

    def take(self, annotator: str, images: Iterable[str], choose: Callable[[list[str]], str]) -> str | None:
        """Hand one of some scans to an annotator, whose earlier one is free again then.

        Args:
            annotator: empty for somebody unnamed.
            images: those without a final label.
            choose: one of those that are free; the annotator's own earlier one is among them only if nothing else is.

        Returns:
            The scan, or None where every one is taken by others or skipped.
        """
        with self._store.writing() as database:
            turns = self.all()
            own = {image for image, turn in turns.items() if turn.state == TAKEN and turn.annotator == annotator}
            listed = list(images)
            free = [image for image in listed if image not in turns] or [image for image in listed if image in own]
            if not free:
                return None
            chosen = choose(free)
            database.execute("DELETE FROM turns WHERE state = ? AND annotator = ?", (TAKEN, annotator))
            self._put(database, chosen, TAKEN, annotator)
            return chosen

    def skip(self, image: str, annotator: str) -> None:
        """Hand this scan to nobody."""
        with self._store.writing() as database:
            self._put(database, image, SKIPPED, annotator)

    def free(self, image: str) -> None:
        """The scan is nobody's, and not skipped."""
        with self._store.writing() as database:
            database.execute("DELETE FROM turns WHERE image = ?", (image,))

    def _put(self, database: sqlite3.Connection, image: str, state: str, annotator: str) -> None:
        database.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?)", (image, state, annotator, self._now()))
