"""A thread that does one thing over and over until it is told to stop."""

import logging
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""How long it rests when there is nothing to do and nobody wakes it."""


class Loop:
    """Calls ``turn`` again and again; what it raises is logged and does not end the thread."""

    def __init__(self, name: str, turn: Callable[[], bool], *, pause_s: float = 0.0) -> None:
        """``turn`` says whether there may be more to do at once; after an error the thread waits for ``pause_s``."""
        self.stopping = threading.Event()
        """Set once the thread is to end: long work looks at it."""

        self._turn, self._pause_s = turn, pause_s
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Wait for the turn under way to end, so long at most; there is no other after it."""
        self.stopping.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self._wake.clear()
            more = False
            try:
                more = self._turn()
            except Exception:
                logger.exception("%s failed unexpectedly; it is tried again", self._thread.name)
                self.stopping.wait(self._pause_s)
            if not more:
                self._wake.wait(LOOK_EVERY_S)
