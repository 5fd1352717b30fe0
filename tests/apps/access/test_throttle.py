"""Wrong passwords make the next attempt wait: for that user from that address, and not for others."""

import pytest

from amd_das_app.access import throttle
from amd_das_app.access.throttle import FORGOTTEN_S, FREE_FOR_ADDRESS, FREE_FOR_ONE, Throttle, TooManyAttemptsError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Throttle:
    return Throttle(clock)


def wait_of(door: Throttle, user: str = "anna", address: str = "10.0.0.1") -> int:
    """Seconds until the next attempt; 0 where it was let through, and counts."""
    try:
        door.begin(user, address)
    except TooManyAttemptsError as error:
        assert str(error.seconds) in str(error)
        assert error.status == 429
        return error.seconds
    return 0


def test_each_wrong_one_after_the_first_few_waits_twice_as_long(door: Throttle, clock: Clock) -> None:
    assert [wait_of(door) for _ in range(FREE_FOR_ONE)] == [0] * FREE_FOR_ONE
    waits = []
    for _ in range(9):
        waits.append(wait_of(door))
        clock.now += waits[-1]
        assert wait_of(door) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_others_and_other_places_do_not_wait(door: Throttle) -> None:
    while not wait_of(door):
        pass
    assert wait_of(door, user="berta") == 0
    assert wait_of(door, address="10.0.0.2") == 0
    assert wait_of(door) > 0


def test_a_right_one_clears_it(door: Throttle) -> None:
    for _ in range(100):
        assert wait_of(door) == 0
        door.succeeded("anna", "10.0.0.1")
    assert wait_of(door, user="berta") == 0


def test_one_that_came_to_nothing_counts_neither_way(door: Throttle) -> None:
    for _ in range(FREE_FOR_ONE - 1):
        assert wait_of(door) == 0
        door.undo("anna", "10.0.0.1")
    assert [wait_of(door) for _ in range(FREE_FOR_ONE)] == [0] * FREE_FOR_ONE
    door.undo("anna", "10.0.0.1")
    assert wait_of(door) == 1, "an attempt without an outcome clears nothing"


def test_many_names_from_one_place_wait_too(door: Throttle) -> None:
    waits = [wait_of(door, user=f"user{number}") for number in range(FREE_FOR_ADDRESS + 1)]
    assert waits == [0] * FREE_FOR_ADDRESS + [1]
    assert wait_of(door, user="", address="10.0.0.2") == 0


def test_all_is_forgotten_after_a_while(door: Throttle, clock: Clock) -> None:
    while not wait_of(door):
        pass
    clock.now += FORGOTTEN_S + 1
    assert [wait_of(door) for _ in range(FREE_FOR_ONE)] == [0] * FREE_FOR_ONE


def test_many_at_once_gain_nothing(door: Throttle) -> None:
    let_through = sum(wait_of(door) == 0 for _ in range(100))  # none of them is known to be wrong yet
    assert let_through == FREE_FOR_ONE


def test_memory_is_bounded(door: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_KEPT", 50)
    for number in range(1000):
        wait_of(door, user="x" * 1000 + str(number), address=f"10.0.{number // 250}.{number % 250}")
    assert len(door._records) <= 50
    assert all(len(who) < 100 for who, _ in door._records)
