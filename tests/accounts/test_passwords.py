"""What is accepted as a password, and that nothing but its hash is kept."""

import statistics
import time

import pytest

from amd_das.accounts.passwords import MAX_BYTES, check_new_password, hash_password, is_outdated, is_password
from amd_das.errors import ConfigError

GOOD = "correct horse staple"


@pytest.mark.parametrize("password", [GOOD, "ü" * 8 + "abcd", "x1!Y2?z3-w4_", "雨雪風雲山川海空花鳥月星"])
def test_long_ones_are_accepted(password: str) -> None:
    check_new_password(password, "anna")


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "0 characters; expected 12"),
        ("elevenchars", "11 characters; expected 12"),
        ("a" * (MAX_BYTES + 1), "longer than 1024 bytes"),
        ("correct\x00horse staple", "control characters"),
        ("abababababab", "5 different characters"),
        ("my name is Anna!", "holds the user's name"),
    ],
)
def test_others_are_refused_without_being_quoted(password: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_new_password(password, "anna")
    assert not password or password not in str(caught.value)


def test_a_hash_knows_its_password_only() -> None:
    stored = hash_password(GOOD)
    assert stored.startswith("$argon2id$")
    assert GOOD not in stored
    assert stored != hash_password(GOOD), "no salt"
    assert is_password(stored, GOOD)
    assert not is_password(stored, GOOD + " ")
    assert not is_password(stored, "")
    assert not is_outdated(stored)


def test_the_same_letters_typed_in_two_ways_are_the_same() -> None:
    assert is_password(hash_password("Müllerstraße 12"), "Mu\u0308llerstraße 12")


@pytest.mark.parametrize("stored", [None, "", "plain", "$argon2id$v=19$broken"])
@pytest.mark.parametrize("password", [GOOD, "", "a" * 10_000_000, "\ud800"])
def test_nobody_and_damaged_hashes_have_no_password(stored: str | None, password: str) -> None:
    assert not is_password(stored, password)


def test_nobody_takes_as_long_as_somebody() -> None:
    stored = hash_password(GOOD)

    def seconds(of: str | None, password: str) -> float:
        took = []
        for _ in range(5):
            started = time.perf_counter()
            is_password(of, password)
            took.append(time.perf_counter() - started)
        return statistics.median(took)

    is_password(None, GOOD)
    known = seconds(stored, "a wrong password")
    assert seconds(None, "a wrong password") > 0.5 * known
    assert seconds(None, "x" * 5000) > 0.5 * known
