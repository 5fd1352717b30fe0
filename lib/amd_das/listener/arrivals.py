"""Series while they come in: who sends them, and when they are complete."""

import threading
import time
from collections.abc import Callable, Hashable

from amd_das.listener.spool import Spool


class Arrivals:
    """DICOM does not say when a series is complete, so time has to.

    A series is complete when nobody who has sent instances of it is still connected, and nothing has come for
    ``quiet_s``: some routers open an association for each instance or split a series over several, and five seconds are
    far more than between those. A sender that broke off tries again, usually within a minute or two: then
    ``broken_quiet_s`` have to pass. What is on the disk decides, so a restart changes nothing.
    """

    def __init__(
        self, spool: Spool, *, quiet_s: float, broken_quiet_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Series that an earlier process was receiving are waited for again."""
        self.spool, self.quiet_s, self.broken_quiet_s = spool, quiet_s, broken_quiet_s
        self._clock = clock
        self._lock = threading.Lock()
        self._senders: dict[Hashable, set[str]] = {}
        self._last = {series: clock() for series in spool.series() if not spool.is_done(series)}

    @property
    def under_way(self) -> int:
        """Series that have begun to come and are not complete."""
        with self._lock:
            return len(self._last)

    def knows(self, series: str) -> bool:
        """Whether something of it has come before."""
        return self.spool.has(series)

    def receive(self, sender: Hashable, series: str, name: str, content: bytes) -> bool:
        """Keep an instance; False if it was there already. Raises SpoolFullError."""
        self.spool.make_room(len(content))
        with self._lock:
            if series not in self._senders.setdefault(sender, set()):
                self.spool.begin(series)
                self._senders[sender].add(series)
            self._last[series] = self._clock()
        try:
            return self.spool.add(series, name, content)
        finally:
            with self._lock:
                self._last[series] = self._clock()

    def ended(self, sender: Hashable, *, released: bool) -> None:
        """An association is over: ``released`` if the sender said so, and not broken off. The first call counts."""
        with self._lock:
            for series in self._senders.pop(sender, set()):
                self._last[series] = self._clock()
                if released and not self._is_sent(series):
                    self.spool.end(series)

    def complete(self) -> list[tuple[str, bool]]:
        """Case ids of series that are complete as far as can be told, and whether sending them broke off."""
        with self._lock:
            found = []
            for series, last in self._last.items():
                broken = self.spool.broke_off(series)
                silence = self._clock() - last
                if not self._is_sent(series) and silence >= (self.broken_quiet_s if broken else self.quiet_s):
                    found.append((series, broken))
            return found

    def settle(self, series: str) -> bool:
        """Forget a series once a job stands for it; False if more has begun to come."""
        with self._lock:
            if self._is_sent(series):
                return False
            self._last.pop(series, None)
            self.spool.end(series)
            return True

    def _is_sent(self, series: str) -> bool:
        return any(series in sent for sent in self._senders.values())
