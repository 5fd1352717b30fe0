"""Whether access is controlled, who a token stands for, and logging in; one per server."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from amd_das.accounts import AuditLog, User, UserStore
from amd_das.errors import ConfigError
from amd_das_app.access.realm import Realm, RealmConfig
from amd_das_app.access.throttle import Throttle
from amd_das_app.access.tokens import InvalidTokenError, LocalTokens, read_key
from amd_das_app.errors import BusyError

MOST_AT_ONCE: Final = 2
"""Passwords that are looked at together; each takes 64 MiB (ours)."""

MOST_WAITING: Final = 20
"""Log-ins that may wait for that (ours)."""


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """What a log-in gives."""

    user: User
    token: str
    seconds: int
    """For which the token holds."""


class AccessControl:
    """Off, or by a file of users, or by a realm.

    Once there are users it stays on while the server runs, even if the file goes.
    """

    def __init__(self, folder: Path, *, realm: RealmConfig | None, token_seconds: int, off: bool = False) -> None:
        self.folder = folder
        self.off = off
        """Somebody said so; not just that there are no users."""

        self.realm = Realm(realm) if realm else None
        self.audit = AuditLog(folder)
        self._store = UserStore(folder)
        self._tokens: LocalTokens | None = None
        self._token_seconds = token_seconds
        self._throttle = Throttle()
        self._limiter: CapacityLimiter | None = None
        self._lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        """Whether a token is needed. Raises ConfigError or OSError while the file of users cannot be used."""
        if self.off:
            return False
        return self.realm is not None or self._tokens is not None or bool(self._begin())

    def _begin(self) -> LocalTokens | None:
        with self._lock:
            if self._tokens is None and self._store.accounts():
                self._tokens = LocalTokens(self._store, read_key(self.folder), self._token_seconds)
            return self._tokens

    async def user_of(self, token: str) -> User:
        """Raises InvalidTokenError, RealmError, ConfigError or OSError."""
        if self.realm is not None:
            return await run_sync(self.realm.read, token)
        if self._tokens is None:
            raise InvalidTokenError("this server has no users")
        return self._tokens.read(token)

    async def log_in(self, name: str, password: str, address: str) -> LoggedIn | None:
        """None for a wrong name or password; in the audit log either way.

        Raises:
            TooManyAttemptsError: too soon after wrong ones.
            BusyError: too many log in at this moment.
            RealmError, ConfigError, OSError: nobody can.
        """
        if self._limiter is None:
            self._limiter = CapacityLimiter(MOST_AT_ONCE)
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise BusyError("too many people log in at this moment; try again in a few seconds")
        self._throttle.begin(name, address)
        try:
            found = await run_sync(self._try, name, password, limiter=self._limiter)
        except BaseException:
            self._throttle.undo(name, address)
            raise
        if found is not None:
            self._throttle.succeeded(name, address)
        await run_sync(self._tell, name, address, found)
        return found

    def _try(self, name: str, password: str) -> LoggedIn | None:
        if self.realm is not None:
            granted = self.realm.log_in(name, password)
            return LoggedIn(user=granted[0], token=granted[1], seconds=granted[2]) if granted else None
        tokens = self._begin()
        if tokens is None:
            raise ConfigError("this server has no users; amd-das users add NAME ROLE makes one")
        known = self._store.log_in(name, password)
        return LoggedIn(user=known[0], token=tokens.make(*known), seconds=tokens.seconds) if known else None

    def _tell(self, name: str, address: str, found: LoggedIn | None) -> None:
        is_known = found is not None or (self.realm is None and name in self._store.accounts())
        outcome = "ok" if found else "wrong password" if is_known else "unknown user"
        if self.realm is not None and found is None:
            outcome = "refused by the realm"
        # somebody may type the password where the name goes
        self.audit.write("log in", who=name if is_known else None, outcome=outcome, address=address)
