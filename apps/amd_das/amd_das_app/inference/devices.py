"""One inference at a time on each device, the others in line, none of them on the event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect

from amd_das_app.errors import BusyError

T = TypeVar("T")


@dataclass(kw_only=True)
class _Line:
    """The queue of one device."""

    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    waiting: int = 0
    running: int = 0
    finished: int = 0
    last: float = field(default_factory=time.monotonic)
    """When it was last asked for or in use."""


class DeviceQueues:
    """First come, first served, per device; the call runs in a worker thread."""

    def __init__(self, max_queue: int) -> None:
        self.max_queue = max_queue
        self._lines: dict[str, _Line] = {}

    async def run(
        self, device: str, call: Callable[[], T], is_gone: Callable[[], Awaitable[bool]] | None = None
    ) -> tuple[T, float]:
        """``call()`` when the device is free.

        Args:
            device: torch name of the device.
            call: what to run in a worker thread; it has the device to itself.
            is_gone: whether the client has hung up meanwhile; then ``call`` is not made.

        Returns:
            What ``call`` returned, and the seconds it had waited.

        Raises:
            BusyError: the line is full.
            ClientDisconnect: the client is gone.
        """
        line = self._lines.setdefault(device, _Line())
        if line.waiting >= self.max_queue:
            raise BusyError(f"{line.waiting} inferences are waiting for {device}; try again in a while")
        asked = time.perf_counter()
        line.waiting += 1
        line.last = time.monotonic()
        try:
            await line.turn.acquire()
        finally:
            line.waiting -= 1
        try:
            if is_gone is not None and await is_gone():
                raise ClientDisconnect
            line.running += 1
            try:
                waited = time.perf_counter() - asked
                return await run_sync(call), waited
            finally:
                line.running -= 1
                line.finished += 1
                line.last = time.monotonic()
        finally:
            line.turn.release()

    def idle_seconds(self, device: str) -> float:
        """How long nobody has asked for the device; 0 while somebody uses it. Any thread may ask."""
        line = self._lines.setdefault(device, _Line())
        return 0.0 if line.running or line.waiting else time.monotonic() - line.last

    def state(self) -> dict[str, Any]:
        """Numbers of inferences per device, ready for JSON."""
        devices = {
            name: {"running": line.running, "waiting": line.waiting, "finished": line.finished}
            for name, line in self._lines.items()
        }
        return {"devices": devices, "max_waiting": self.max_queue}
