"""The loop: it goes on after errors, rests when there is nothing to do, and ends when told to."""

import threading
import time

import pytest

from amd_das.listener.loop import Loop


def wait_for(event: threading.Event) -> None:
    assert event.wait(5.0)


def test_it_goes_on_at_once_while_there_is_more_and_then_rests() -> None:
    turns, rested = [], threading.Event()

    def turn() -> bool:
        turns.append(time.monotonic())
        if len(turns) == 50:
            rested.set()
        return len(turns) < 50

    loop = Loop("test", turn)
    loop.start()
    wait_for(rested)
    loop.stop(5.0)
    assert len(turns) == 50
    assert turns[-1] - turns[0] < 5.0


def test_waking_does_not_wait_for_the_next_look() -> None:
    first, second = threading.Event(), threading.Event()

    def turn() -> bool:
        (second if first.is_set() else first).set()
        return False

    loop = Loop("test", turn)
    loop.start()
    wait_for(first)
    loop.wake()
    wait_for(second)
    loop.stop(5.0)


def test_an_error_is_logged_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    turns, again = [], threading.Event()

    def turn() -> bool:
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("broken")
        again.set()
        return False

    loop = Loop("labouring", turn)
    loop.start()
    loop.wake()
    wait_for(again)
    loop.stop(5.0)
    assert "labouring failed unexpectedly" in caplog.text


def test_stopping_waits_for_the_turn_under_way() -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def turn() -> bool:
        begun.set()
        let_go.wait(5.0)
        ended.set()
        return True

    loop = Loop("test", turn)
    loop.start()
    wait_for(begun)
    threading.Timer(0.1, let_go.set).start()
    loop.stop(5.0)
    assert loop.stopping.is_set()
    assert ended.is_set()
