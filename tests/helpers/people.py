"""Users of every role, with hashes that take a millisecond."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import argon2

from amd_das.accounts import ROLES, UserStore, passwords

PASSWORD = "correct horse staple"
NAMES = {role: f"one-{role}" for role in ROLES}
"""Role → name of a user who has it and no other."""


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """Argon2id with the least there is, in this process."""
    usual = passwords._HASHER
    passwords._nobody.cache_clear()
    passwords._HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    try:
        yield
    finally:
        passwords._HASHER = usual
        passwords._nobody.cache_clear()


def add_people(folder: Path) -> UserStore:
    """One of each role in an accounts folder, all with PASSWORD."""
    store = UserStore(folder)
    with cheap_hashes():
        for role, name in NAMES.items():
            store.add(name, PASSWORD, (role,))
    return store
