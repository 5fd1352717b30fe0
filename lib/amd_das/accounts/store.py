"""The file of users: names, roles and password hashes; read by the server again whenever it changes."""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from amd_das.accounts.passwords import check_new_password, hash_password, is_password
from amd_das.accounts.private_files import locked, make_private_folder, read_private, write_private
from amd_das.accounts.roles import User, parse_roles
from amd_das.errors import ConfigError, NotFoundError

ACCOUNTS_VARIABLE: Final = "AMD_DAS_ACCOUNTS_DIR"
RUNS_VARIABLE: Final = "AMD_DAS_RUNS_DIR"

_FORMAT: Final = 1
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def accounts_folder() -> Path:
    """``$AMD_DAS_ACCOUNTS_DIR``, or ``accounts/`` in ``$AMD_DAS_RUNS_DIR`` or in ``runs/`` of this checkout."""
    if chosen := os.environ.get(ACCOUNTS_VARIABLE, "").strip():
        return Path(chosen).expanduser().resolve()
    runs = os.environ.get(RUNS_VARIABLE, "").strip()
    return (Path(runs).expanduser().resolve() if runs else Path(__file__).resolve().parents[3] / "runs") / "accounts"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One user as the file has it."""

    roles: tuple[str, ...]
    password: str
    """Argon2id hash."""

    serial: str
    """Random, new with every password: a token holds it, so that tokens end with the password they came from."""

    created: str
    changed: str
    """Times in UTC, ISO 8601; ``changed`` is the password's."""


class UserStore:
    """``users.json`` of an accounts folder, mode 0600; a change is whole or not at all, by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "users.json"
        self._seen: tuple[int, int, int] | None = None
        self._accounts: Mapping[str, Account] = {}

    def accounts(self) -> Mapping[str, Account]:
        """By name, sorted; read again only if the file has changed.

        Raises:
            ConfigError: the file is damaged, or others can read it.
            OSError: it cannot be read.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._accounts = None, {}
            return self._accounts
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._accounts = _parse(self.path, read_private(self.path))
            self._seen = seen
        return self._accounts

    def require(self, name: str) -> Account:
        """Raises NotFoundError."""
        return _require(self.accounts(), name)

    def find(self, name: str) -> tuple[User, str] | None:
        """User and serial by name, or None."""
        account = self.accounts().get(name)
        return (User(name=name, roles=account.roles), account.serial) if account else None

    def log_in(self, name: str, password: str) -> tuple[User, str] | None:
        """User and serial if the password is right; as slow for an unknown name."""
        account = self.accounts().get(name)
        if not is_password(account.password if account else None, password) or account is None:
            return None
        return User(name=name, roles=account.roles), account.serial

    def add(self, name: str, password: str, roles: tuple[str, ...]) -> None:
        """Raises ConfigError for a name in use, an unsuitable name, password or role."""
        check_name(name)
        check_new_password(password, name)
        now = _now()
        account = Account(
            roles=parse_roles(roles), password=hash_password(password), serial=_serial(), created=now, changed=now
        )

        def change(accounts: dict[str, Account]) -> None:
            if name in accounts:
                raise ConfigError(f"user {name!r} exists; change it with amd-das users password or roles")
            accounts[name] = account

        self._change(change)

    def set_password(self, name: str, password: str) -> None:
        """All tokens of this user end. Raises NotFoundError or ConfigError."""
        check_new_password(password, name)
        hashed = hash_password(password)

        def change(accounts: dict[str, Account]) -> None:
            account = _require(accounts, name)
            accounts[name] = replace(account, password=hashed, serial=_serial(), changed=_now())

        self._change(change)

    def set_roles(self, name: str, roles: tuple[str, ...]) -> None:
        """From the next request on. Raises NotFoundError, or ConfigError for the last admin among others."""
        chosen = parse_roles(roles)

        def change(accounts: dict[str, Account]) -> None:
            accounts[name] = replace(_require(accounts, name), roles=chosen)

        self._change(change)

    def remove(self, name: str) -> None:
        """All tokens of this user end. Raises NotFoundError, or ConfigError for the last admin among others."""

        def change(accounts: dict[str, Account]) -> None:
            _require(accounts, name)
            del accounts[name]

        self._change(change)

    def _change(self, change: Callable[[dict[str, Account]], None]) -> None:
        make_private_folder(self.path.parent)
        with locked(self.path.with_name(".users.lock")):
            accounts = dict(self.accounts())
            had_admin = _has_admin(accounts)
            change(accounts)
            if had_admin and accounts and not _has_admin(accounts):
                raise ConfigError("this is the last admin, and nobody else could train; make another admin first")
            users = {name: asdict(accounts[name]) for name in sorted(accounts)}
            write_private(self.path, json.dumps({"format": _FORMAT, "users": users}, indent=1).encode() + b"\n")


def check_name(name: str) -> None:
    """Raises ConfigError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"user name {name[:80]!r}: expected 1 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter or digit"
        )


def _require(accounts: Mapping[str, Account], name: str) -> Account:
    if name not in accounts:
        raise NotFoundError(f"no user {name[:80]!r}; amd-das users list shows who there is")
    return accounts[name]


def _has_admin(accounts: Mapping[str, Account]) -> bool:
    return any("admin" in account.roles for account in accounts.values())


def _parse(path: Path, content: bytes) -> dict[str, Account]:
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise ConfigError(f"{path} has format {document['format']!r}; this version reads format {_FORMAT}")
        accounts = {
            name: Account(**{**one, "roles": parse_roles(one["roles"])}) for name, one in document["users"].items()
        }
        for name in accounts:
            check_name(name)
        return accounts
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no file of users as amd-das writes it; put a copy back, or remove it and add the users again"
        ) from error


def _serial() -> str:
    return secrets.token_hex(16)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
