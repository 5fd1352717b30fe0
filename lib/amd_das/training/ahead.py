"""Batches made ahead: while a network learns from one, a thread makes the next."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self


class Ahead:
    """Calls like the function it is given, (step, batch size) → batch; where steps follow one another it need not wait.

    The function must depend on both numbers alone: then the batches are the same as without. What it raises is raised
    here, when the batch is asked for.
    """

    def __init__(self, batch_at: Callable[[int, int], Any], steps: int) -> None:
        """For ``steps`` steps, from 0; none is made after the last."""
        self._batch_at, self._steps = batch_at, steps
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[tuple[int, int], Future[Any]] | None = None

    def __call__(self, step: int, size: int) -> Any:
        """The batch of a step; the next one is begun."""
        known, future = self._next or (None, None)
        if future is None or known != (step, size):
            future = self._thread.submit(self._batch_at, step, size)
        self._next = None
        batch = future.result()
        if step + 1 < self._steps:
            self._next = ((step + 1, size), self._thread.submit(self._batch_at, step + 1, size))
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the batch that is being made, and drops it."""
        self._thread.shutdown(cancel_futures=True)
