"""Guessing passwords gets slower with every wrong one, for who guesses and from where, and for nobody else."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amd_das_app.errors import BusyError

FREE_FOR_ONE: Final = 4
"""Wrong passwords for one user from one address before there is a wait (ours)."""

FREE_FOR_ADDRESS: Final = 40
"""The same for all users from one address: a clinic may be one address (ours)."""

LONGEST_S: Final = 60.0
"""Longest wait for one user from one address, after which one more may be tried (ours)."""

LONGEST_ADDRESS_S: Final = 5.0
"""Longest wait for all users from one address."""

FORGOTTEN_S: Final = 15 * 60.0
"""Time without a wrong password after which all is forgotten (ours)."""

MOST_KEPT: Final = 10_000
"""Users and addresses that are kept; the ones longest unused go first."""


class TooManyAttemptsError(BusyError):
    """Wait before the next attempt."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(f"too many wrong passwords; try again in {self.seconds} s")


_EVERYONE: Final = ""


@dataclass
class _Record:
    failures: int = 0
    until: float = 0.0
    last: float = 0.0


class Throttle:
    """Counts wrong passwords. An attempt counts as wrong until it turns out right, so many at once gain nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def begin(self, user: str, address: str) -> None:
        """Before the password is looked at; raises TooManyAttemptsError while there is a wait."""
        now = self._clock()
        one, everyone = self._record(_one(user), address, now), self._record(_EVERYONE, address, now)
        if (wait := max(one.until, everyone.until) - now) > 0:
            raise TooManyAttemptsError(wait)
        for record, free, longest in (
            (one, FREE_FOR_ONE, LONGEST_S),
            (everyone, FREE_FOR_ADDRESS, LONGEST_ADDRESS_S),
        ):
            record.failures += 1
            record.last = now
            if record.failures >= free:
                record.until = now + min(longest, 2.0 ** min(record.failures - free, 16))

    def succeeded(self, user: str, address: str) -> None:
        """The attempt begun before was right."""
        self._records.pop((_one(user), address), None)
        if everyone := self._records.get((_EVERYONE, address)):
            everyone.failures -= 1
            if everyone.failures < FREE_FOR_ADDRESS:
                everyone.until = 0.0

    def undo(self, user: str, address: str) -> None:
        """The attempt begun before came to nothing, as when a realm is down: it was neither right nor wrong."""
        for who in (_one(user), _EVERYONE):
            if record := self._records.get((who, address)):
                record.failures -= 1

    def _record(self, who: str, address: str, now: float) -> _Record:
        key = (who, address)
        record = self._records.pop(key, None)
        if record is None or now - record.last > FORGOTTEN_S:
            record = _Record(last=now)
        self._records[key] = record
        while len(self._records) > MOST_KEPT:
            self._records.popitem(last=False)
        return record


def _one(user: str) -> str:
    return f"user {user[:64]}"
