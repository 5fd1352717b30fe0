"""Turns: nobody gets what somebody else has, until it is given back, submitted or too long ago."""

from pathlib import Path
from threading import Barrier, Thread

import pytest

from amd_das_app.worklist.scores import ScoreStore
from amd_das_app.worklist.turns import LEASE_S, SKIPPED, TAKEN, Turns

SCANS = ["a", "b", "c"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(tmp_path: Path, clock: Clock) -> Turns:
    return Turns(ScoreStore(tmp_path), clock)


def test_two_annotators_never_get_the_same(turns: Turns) -> None:
    assert turns.take("ann", SCANS, min) == "a"
    assert turns.take("bob", SCANS, min) == "b"
    assert turns.all()["a"].annotator == "ann"
    assert turns.all()["b"].state == TAKEN


def test_asking_again_gives_another_and_frees_the_first(turns: Turns) -> None:
    assert turns.take("ann", SCANS, min) == "a"
    assert turns.take("ann", SCANS, min) == "b"
    assert turns.take("bob", SCANS, min) == "a"


def test_what_an_annotator_passed_over_comes_back_after_all_others(turns: Turns) -> None:
    assert [turns.take("ann", SCANS, min) for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]
    turns.skip("b", "ann")
    assert [turns.take("ann", SCANS, min) for _ in range(3)] == ["a", "c", "a"]


def test_others_get_what_one_passed_over(turns: Turns) -> None:
    assert [turns.take("ann", SCANS, min) for _ in range(2)] == ["a", "b"]
    assert turns.take("bob", SCANS, min) == "a"
    assert turns.take("ann", SCANS, min) == "c"


def test_what_was_passed_over_is_new_again_after_a_lease(turns: Turns, clock: Clock) -> None:
    assert [turns.take("ann", SCANS, min) for _ in range(2)] == ["a", "b"]
    clock.now += LEASE_S + 1
    assert turns.take("ann", SCANS, min) == "a"


def test_work_on_a_scan_renews_its_lease_but_does_not_revive_it(turns: Turns, clock: Clock) -> None:
    turns.take("ann", ["a"], min)
    clock.now += LEASE_S - 1
    turns.renew("a")
    clock.now += LEASE_S - 1
    assert turns.take("bob", ["a"], min) is None
    clock.now += 2
    turns.renew("a")
    assert turns.take("bob", ["a"], min) == "a"


def test_the_last_one_is_given_again_to_whoever_has_it(turns: Turns) -> None:
    assert turns.take("ann", ["a"], min) == "a"
    assert turns.take("ann", ["a"], min) == "a"
    assert turns.take("bob", ["a"], min) is None


def test_a_lease_runs_out(turns: Turns, clock: Clock) -> None:
    turns.take("ann", ["a"], min)
    clock.now += LEASE_S - 1
    assert turns.take("bob", ["a"], min) is None
    clock.now += 2
    assert turns.take("bob", ["a"], min) == "a"


def test_what_is_skipped_stays_so_until_it_is_put_back(turns: Turns, clock: Clock) -> None:
    turns.skip("a", "ann")
    clock.now += 10 * LEASE_S
    assert turns.take("ann", ["a"], min) is None
    assert turns.all()["a"].state == SKIPPED
    turns.free("a")
    assert turns.take("ann", ["a"], min) == "a"


def test_the_choice_is_among_what_is_free(turns: Turns) -> None:
    turns.skip("c", "")
    seen: list[list[str]] = []

    def choose(free: list[str]) -> str:
        seen.append(free)
        return free[-1]

    turns.take("ann", SCANS, choose)
    turns.take("bob", SCANS, choose)
    assert seen == [["a", "b"], ["a"]]


def test_a_failing_choice_changes_nothing(turns: Turns) -> None:
    with pytest.raises(KeyError):
        turns.take("ann", SCANS, lambda free: {}[free[0]])
    assert turns.all() == {}
    assert turns.take("ann", SCANS, min) == "a"


def test_many_at_once_each_get_their_own(turns: Turns) -> None:
    scans, start, got = [f"scan{number:02d}" for number in range(12)], Barrier(12), []

    def ask(number: int) -> None:
        start.wait()
        got.append(turns.take(f"annotator{number}", scans, min))

    threads = [Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == scans
