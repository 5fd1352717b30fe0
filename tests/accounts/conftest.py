"""Hashes that take a millisecond, but where their cost is what is tested."""

import argon2
import pytest

from amd_das.accounts import passwords


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.module.__name__.endswith("test_passwords"):
        return
    passwords._nobody.cache_clear()
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
