"""Batches made ahead are the batches one would have got, and errors come when the batch is asked for."""

import threading

import pytest

from amd_das.training.ahead import Ahead


class Maker:
    """Makes batches that say what they were made of, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.threads: set[int] = set()

    def __call__(self, step: int, size: int) -> tuple[int, int]:
        if step == 3:
            raise ValueError("step 3 has no batch")
        self.calls.append((step, size))
        self.threads.add(threading.get_ident())
        return step, size


def test_batches_come_in_order_each_made_once_in_another_thread() -> None:
    maker = Maker()
    with Ahead(maker, 3) as batches:
        assert [batches(step, 4) for step in range(3)] == [(0, 4), (1, 4), (2, 4)]
    assert maker.calls == [(0, 4), (1, 4), (2, 4)], "nothing after the last step"
    assert threading.get_ident() not in maker.threads


def test_the_next_batch_is_made_while_nobody_asks() -> None:
    begun = threading.Event()

    def batch_at(step: int, size: int) -> int:
        if step == 1:
            begun.set()
        return step

    with Ahead(batch_at, 5) as batches:
        batches(0, 2)
        assert begun.wait(10)


@pytest.mark.parametrize(("step", "size"), [(7, 4), (1, 2), (0, 4)])
def test_another_step_or_size_than_expected_is_made_afresh(step: int, size: int) -> None:
    with Ahead(Maker(), 10) as batches:
        batches(0, 4)
        assert batches(step, size) == (step, size)


def test_an_error_is_raised_where_its_batch_is_asked_for() -> None:
    with Ahead(Maker(), 10) as batches:
        assert batches(2, 4) == (2, 4), "step 3, begun meanwhile, has failed by now or will"
        with pytest.raises(ValueError, match="step 3"):
            batches(3, 4)
        assert batches(4, 4) == (4, 4), "and it goes on"


def test_no_thread_is_left_behind() -> None:
    with Ahead(Maker(), 10) as batches:
        batches(0, 4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
