"""Another model version is put to use while the server runs: no restart, no request lost."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.heads import save_blood_detector, write_head
from helpers.running_server import RunningServer, start_server

from amd_das import models

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model-switch")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    save_blood_detector(folder / "model")
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "head.nii.gz")
    running = start_server(folder, folder / "model")
    yield running.wait_until_ready()
    running.close()


def version_in_results(server: RunningServer) -> str:
    answer = server.infer(image="head")
    assert answer.status_code == 200, answer.text
    version: str = answer.json()["model"]["version"]
    return version


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_published_version_serves_without_a_failed_request_and_can_be_rolled_back(
    server: RunningServer, folder: Path
) -> None:
    first = models.current_version(folder / "model")
    assert version_in_results(server) == first
    answers: list[tuple[int, Any]] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answer = server.infer(image="head")
            answers.append((answer.status_code, answer.json().get("model", {}).get("version")))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        second = save_blood_detector(folder / "model", bias=-40.0).version
        wait_for(lambda: bool(answers) and answers[-1][1] == second)
        models.use_version(folder / "model", first)
        wait_for(lambda: answers[-1][1] == first)
    finally:
        done.set()
        asking.join()
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {first, second}
    info = server.request("GET", "/info/").json()
    assert first in info["models"]["amd_das"]["description"]


def test_a_damaged_version_is_reported_and_the_one_before_it_serves_on(server: RunningServer, folder: Path) -> None:
    sound = models.current_version(folder / "model")
    damaged = save_blood_detector(folder / "model", bias=-25.0, make_current=False).version
    (folder / "model" / "versions" / damaged / models.WEIGHTS).write_bytes(b"damaged")
    models.use_version(folder / "model", damaged)
    wait_for(lambda: "still serves" in server.request("GET", "/info/").json()["description"])
    assert version_in_results(server) == sound
    models.use_version(folder / "model", sound)
    wait_for(lambda: "still serves" not in server.request("GET", "/info/").json()["description"])
