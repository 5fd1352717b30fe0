"""One inference at a time per device, first come, first served."""

import asyncio
import threading

import pytest
from starlette.requests import ClientDisconnect

from amd_das_app.errors import BusyError
from amd_das_app.inference.devices import DeviceQueues


def test_one_at_a_time_in_order_and_devices_side_by_side() -> None:
    order: list[str] = []
    running = {"cpu": 0, "cuda:0": 0}
    both = threading.Barrier(2, timeout=10)

    def work(device: str, name: str) -> str:
        running[device] += 1
        order.append(f"{name} with {running[device]}")
        if name in ("a", "x"):
            both.wait()  # passes only when both devices work at the same time
        running[device] -= 1
        return name

    async def scenario() -> list[tuple[str, float]]:
        queues = DeviceQueues(10)
        jobs = [("cpu", "a"), ("cpu", "b"), ("cpu", "c"), ("cuda:0", "x")]
        answers = await asyncio.gather(
            *(queues.run(device, lambda d=device, n=name: work(d, n)) for device, name in jobs)
        )
        assert queues.state()["devices"] == {
            "cpu": {"running": 0, "waiting": 0, "finished": 3},
            "cuda:0": {"running": 0, "waiting": 0, "finished": 1},
        }
        return answers

    answers = asyncio.run(scenario())
    assert [name for name, _ in answers] == ["a", "b", "c", "x"]
    assert [step for step in order if step[0] in "abc"] == ["a with 1", "b with 1", "c with 1"]
    assert "x with 1" in order


def test_a_full_line_is_refused_and_a_failure_frees_the_device() -> None:
    release = threading.Event()

    def fail() -> None:
        release.wait(10)
        raise ValueError("bad scan")

    async def scenario() -> None:
        queues = DeviceQueues(1)
        first = asyncio.create_task(queues.run("cpu", fail))
        second = asyncio.create_task(queues.run("cpu", lambda: "fine"))
        while queues.state()["devices"].get("cpu", {}).get("waiting") != 1:
            await asyncio.sleep(0.01)
        with pytest.raises(BusyError, match="waiting for cpu"):
            await queues.run("cpu", lambda: None)
        release.set()
        with pytest.raises(ValueError, match="bad scan"):
            await first
        assert (await second)[0] == "fine"

    asyncio.run(scenario())


def test_nothing_is_done_for_a_client_that_hung_up() -> None:
    called = []

    async def gone() -> bool:
        return True

    async def scenario() -> None:
        queues = DeviceQueues(1)
        with pytest.raises(ClientDisconnect):
            await queues.run("cpu", lambda: called.append(1), gone)
        assert (await queues.run("cpu", lambda: "next"))[0] == "next"

    asyncio.run(scenario())
    assert called == []


def test_a_device_is_idle_since_the_last_one_was_done() -> None:
    release = threading.Event()

    async def scenario() -> None:
        queues = DeviceQueues(1)
        assert queues.idle_seconds("cpu") < 1
        await asyncio.sleep(0.05)
        assert queues.idle_seconds("cpu") >= 0.05
        working = asyncio.create_task(queues.run("cpu", lambda: release.wait(10)))
        while not queues.state()["devices"]["cpu"]["running"]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert queues.idle_seconds("cpu") == 0
        release.set()
        await working
        assert 0 < queues.idle_seconds("cpu") < 0.05

    asyncio.run(scenario())
