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

    def __init__(self, store: ScoreStore, now: Callable[[], float] = time.time, lease_s: float = LEASE_S) -> None:
        self._store, self._now, self._lease_s = store, now, lease_s

    def all(self) -> dict[str, Turn]:
        """By image; what has run out is left out."""
        rows = self._store.read(
            "SELECT image, state, annotator, since FROM turns WHERE state = ? OR since > ?",
            (SKIPPED, self._now() - self._lease_s),
        )
        return {image: Turn(state=state, annotator=annotator, since=since) for image, state, annotator, since in rows}

    def take(self, annotator: str, images: Iterable[str], choose: Callable[[list[str]], str]) -> str | None:
        """Hand one of some scans to an annotator.

        One that the annotator has and did not submit is passed over: others may have it, and it comes back to this
        annotator after all others, or once the lease has run out.

        Args:
            annotator: who asks.
            images: those without a final label.
            choose: one of those that are free and that this annotator has not passed over.

        Returns:
            The scan, or None where every one is taken by others or skipped.
        """
        with self._store.writing() as database:
            turns = self.all()
            own = {image for image, turn in turns.items() if turn.state == TAKEN and turn.annotator == annotator}
            open_ones = [image for image in images if image not in turns or image in own]
            passed = self._passed(database, annotator)
            if free := [image for image in open_ones if image not in own and image not in passed]:
                chosen = choose(free)
            elif open_ones:  # the one that was passed over longest ago; the one at hand if it is the last
                again = [image for image in passed if image in open_ones and image not in own]
                chosen = [*again, *open_ones][0]
            else:
                return None
            database.execute("DELETE FROM turns WHERE state = ? AND annotator = ?", (TAKEN, annotator))
            for image in own - {chosen}:
                database.execute("INSERT OR REPLACE INTO passed VALUES (?, ?, ?)", (image, annotator, self._now()))
            self._put(database, chosen, TAKEN, annotator)
            return chosen

    def renew(self, image: str) -> None:
        """Somebody works on this scan: whoever has it keeps it for another lease."""
        with self._store.writing() as database:
            now = self._now()
            database.execute(
                "UPDATE turns SET since = ? WHERE image = ? AND state = ? AND since > ?",
                (now, image, TAKEN, now - self._lease_s),
            )

    def skip(self, image: str, annotator: str) -> None:
        """Hand this scan to nobody."""
        with self._store.writing() as database:
            self._put(database, image, SKIPPED, annotator)

    def free(self, image: str) -> None:
        """The scan is nobody's, and neither skipped nor passed over."""
        with self._store.writing() as database:
            database.execute("DELETE FROM turns WHERE image = ?", (image,))
            database.execute("DELETE FROM passed WHERE image = ?", (image,))

    def _passed(self, database: sqlite3.Connection, annotator: str) -> list[str]:
        """By this annotator, longest ago first."""
        database.execute("DELETE FROM passed WHERE since <= ?", (self._now() - self._lease_s,))
        rows = database.execute("SELECT image FROM passed WHERE annotator = ? ORDER BY rowid", (annotator,))
        return [row[0] for row in rows]

    def _put(self, database: sqlite3.Connection, image: str, state: str, annotator: str) -> None:
        database.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?)", (image, state, annotator, self._now()))
