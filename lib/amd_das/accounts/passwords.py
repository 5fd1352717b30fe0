"""Passwords: what is accepted, and Argon2id hashes of them."""

import secrets
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from amd_das.errors import ConfigError

MIN_CHARACTERS: Final = 12
"""NIST SP 800-63B-4 asks for 15 where a password stands alone and 8 beside a second factor; between them (ours)."""

MAX_BYTES: Final = 1024
"""A longer one is no password, and would only cost time (ours)."""

MIN_DIFFERENT: Final = 5
"""Different characters (ours)."""

_HASHER: Final = PasswordHasher()
"""Argon2id with RFC 9106's second choice: 64 MiB, 3 passes, 4 lanes."""


def check_new_password(password: str, user: str) -> None:
    """Raises ConfigError with what would be accepted; never quotes the password."""
    if len(password) < MIN_CHARACTERS:
        raise ConfigError(f"the password has {len(password)} characters; expected {MIN_CHARACTERS} or more")
    if len(password.encode(errors="replace")) > MAX_BYTES:
        raise ConfigError(f"the password is longer than {MAX_BYTES} bytes; choose a shorter one")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise ConfigError("the password holds control characters, which cannot be typed into a form; leave them out")
    if len(set(password.casefold())) < MIN_DIFFERENT:
        raise ConfigError(f"the password is too easily guessed; expected {MIN_DIFFERENT} different characters or more")
    if len(user) > 3 and user.casefold() in password.casefold():
        raise ConfigError("the password holds the user's name, so it is too easily guessed; leave the name out")


def hash_password(password: str) -> str:
    """Hash with its salt and parameters, as one string."""
    return _HASHER.hash(_normal(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether the password is the one; None, for somebody unknown, takes as long and is false."""
    nobody = _nobody()
    if len(password) > MAX_BYTES:
        password = ""  # as long a wait, and wrong
    try:
        return _HASHER.verify(stored or nobody, _normal(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(stored)


def _normal(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode(errors="replace")


@cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_bytes(32))
