"""Tokens of this server: signed, with an end, and worth nothing once their password has changed."""

import secrets
import time
from pathlib import Path
from typing import Any, Final

import jwt

from amd_das.accounts import User, UserStore
from amd_das.accounts.private_files import locked, make_private_folder, read_private, write_private
from amd_das.errors import ConfigError

_ALGORITHM: Final = "HS256"
_NAME: Final = "amd-das"
_KEY_BYTES: Final = 32


class InvalidTokenError(Exception):
    """The token is not from here, has ended, or its user is gone."""


def read_key(folder: Path) -> bytes:
    """The signing key in an accounts folder, made where there is none; raises ConfigError or OSError."""
    path = folder / "token.key"
    make_private_folder(folder)
    with locked(folder / ".key.lock"):
        if not path.exists():
            write_private(path, secrets.token_bytes(_KEY_BYTES))
        key = read_private(path)
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"{path} holds {len(key)} bytes, expected {_KEY_BYTES}; remove it, and all log in anew")
    return key


class LocalTokens:
    """Makes and reads the tokens of the users in a file."""

    def __init__(self, store: UserStore, key: bytes, seconds: int) -> None:
        self.seconds = seconds
        self._store = store
        self._key = key

    def make(self, user: User, serial: str) -> str:
        """A token for ``seconds`` from now."""
        now = int(time.time())
        claims = {"iss": _NAME, "aud": _NAME, "sub": user.name, "serial": serial, "iat": now, "exp": now + self.seconds}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str) -> User:
        """The user, with the roles of this moment; raises InvalidTokenError."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_NAME,
                issuer=_NAME,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidTokenError("the token has expired; log in again") from error
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError("this is no token of this server; log in for one") from error
        found = self._store.find(claims["sub"])
        if found is None or not secrets.compare_digest(found[1], str(claims.get("serial", ""))):
            raise InvalidTokenError("the user is gone or has another password; log in again")
        return found[0]
