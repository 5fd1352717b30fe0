"""The real pipeline, trained through the server: stopped, killed with the server, continued, published, used."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.heads import save_blood_detector
from helpers.running_server import RunningServer, start_server

from amd_das import models
from amd_das.phantom.files import write_cases

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(2400)]

SMOKE = {"preset": "smoke", "client_id": "user-xyz"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Three phantom CTs without labels as studies; whatever still trains at the end is killed."""
    save_blood_detector(tmp_path / "model")
    write_cases(count=3, kind="ct", format="nifti", seed=40, directory=tmp_path / "phantom", matrix=256)
    (tmp_path / "phantom" / "images").rename(tmp_path / "studies")
    yield tmp_path
    for process in job_processes(tmp_path):
        process.kill()


def job_processes(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder / "runs") in argument for argument in process.cmdline()):
                found.append(process)
    return found


def poll(server: RunningServer, until: Callable[[dict[str, Any]], bool], seconds: float = 900) -> list[dict[str, Any]]:
    """Records of the training, one for each look, the last being the first that is as wished."""
    deadline = time.monotonic() + seconds
    seen: list[dict[str, Any]] = []
    while not seen or not until(seen[-1]):
        assert time.monotonic() < deadline, seen[-1:]
        time.sleep(0.2)
        seen.append(server.request("GET", "/train/").json())
        assert seen[-1]["status"] != "ERROR", seen[-1]
    return seen


def at_work_on(step: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a record says that a step's first checkpoint is written: its tenth step is told just before that."""
    return lambda record: record["progress"].get("step") == step and record["progress"]["done"] > 10


def begin(server: RunningServer) -> dict[str, Any]:
    answer = server.request("POST", "/train/amd_das", json=SMOKE)
    assert answer.status_code == 200, answer.text
    record: dict[str, Any] = answer.json()
    return record


def went_on_with(step: str, records: list[dict[str, Any]]) -> bool:
    """Whether a step, when first seen, was beyond its first checkpoint, or over."""
    first = next(record["progress"] for record in records if record["progress"].get("step") == step)
    return first["done"] >= 10 or first["total"] == 1


def test_smoke_training_survives_a_stop_and_a_kill_and_its_model_serves(folder: Path) -> None:
    before = models.current_version(folder / "model")
    server = start_server(folder, folder / "model").wait_until_ready()
    try:
        ids = sorted(server.request("GET", "/datastore/?output=all").json()["objects"])

        begin(server)
        assert server.infer(image=ids[0]).json()["model"]["version"] == before
        poll(server, at_work_on("synthesis"))
        asked = time.monotonic()
        stopped = server.request("DELETE", "/train/").json()
        assert stopped["status"] == "STOPPED", stopped
        assert time.monotonic() - asked < 15

        begin(server)
        seen = poll(server, at_work_on("segmentation"))
        assert went_on_with("synthesis", seen), "it began anew"
        server.process.kill()
        for process in job_processes(folder):
            process.kill()
        server.close()

        server = start_server(folder, folder / "model").wait_until_ready()
        left = server.request("GET", "/train/").json()
        assert (left["status"], left["progress"]["status"]) == ("ERROR", "running")
        assert "ended while no server watched" in left["details"][-1]

        begin(server)
        seen = poll(server, lambda record: record["status"] == "DONE")
        assert went_on_with("segmentation", seen), "it began anew"
        percents = [record["progress"].get("overall", 0.0) for record in seen]
        assert percents == sorted(percents)
        assert percents[-1] == 1.0
        info = server.request("GET", "/info/").json()
        stats = info["train_stats"]["amd_das"]
        assert (stats["epoch"], stats["total_epochs"], stats["status"]) == (100, 100, "DONE")

        (version,) = set(models.list_versions(folder / "model")) - {before}
        assert models.current_version(folder / "model") == before != version, "weights of no use were put to use"
        assert "not published" in seen[-1]["details"][-1]
        assert server.request("POST", f"/models/{version}/use").status_code == 200
        deadline = time.monotonic() + 30
        while (answer := server.infer(image=ids[0])).json()["model"]["version"] != version:
            assert answer.status_code == 200, answer.text
            assert time.monotonic() < deadline
            time.sleep(0.2)

        assert server.request("POST", "/train/", json=SMOKE).status_code == 200
        poll(server, lambda record: record["request"]["model"] == "fine_tune" and record["status"] == "DONE")
        everything = server.request("GET", "/train/?all=true").json()[-5:]
        assert [record["request"]["model"] for record in everything] == list(info["trainers"])
        assert {record["status"] for record in everything} == {"DONE"}
        assert not any(" made " in line for record in everything for line in record["details"])
        assert models.current_version(folder / "model") == version
    finally:
        server.close()
