"""The same work on many things, in several processes."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

import torch
from threadpoolctl import threadpool_limits

from amd_das.errors import ProcessLostError

AHEAD: Final = 2
"""Things a process is given ahead of the one whose result is due: what bounds the memory."""

_POLL_SECONDS: Final = 0.5

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Thing], Result],
    things: Sequence[Thing],
    processes: int | None = None,
    check: Callable[[int], None] = lambda done: None,
) -> Generator[Result, None, None]:
    """``work`` of every thing, in their order, with a bounded number of results waiting.

    Close the generator, or use it up, and its processes are gone. They leave Ctrl+C to this one, compute with one
    thread each, and end when this one is killed.

    Args:
        work: what can be sent to another process; where there is one process alone it is this one.
        things: sent one by one, as they are needed.
        processes: at most; None for one per processor.
        check: told a few times a second how many results were handed out; what it raises ends the work, and what is
            under way is given up.

    Raises:
        ProcessLostError: a process was ended from outside.
    """
    processes = min(processes or processors(), len(things))
    if processes <= 1:
        for done, thing in enumerate(things):
            check(done)
            yield work(thing)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        rest = iter(things)
        waiting = deque(pool.submit(work, thing) for thing in itertools.islice(rest, AHEAD * processes))
        done = 0
        while waiting:
            while not waiting[0].done():
                check(done)
                wait([waiting[0]], timeout=_POLL_SECONDS)
            try:
                result = waiting.popleft().result()
            except BrokenProcessPool as error:
                check(done)  # who ended the process may have asked this one to stop
                raise ProcessLostError(
                    "a process that did a part of the work was ended from outside, as a rule for want of memory; run "
                    "again to continue, with fewer processes"
                ) from error
            yield result
            done += 1
            waiting.extend(pool.submit(work, thing) for thing in itertools.islice(rest, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread a process; Ctrl+C is the parent's to handle, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
