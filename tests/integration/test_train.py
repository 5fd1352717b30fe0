"""Training through the server, as 3D Slicer, OHIF and REST clients do it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import stand_in_server
from helpers.heads import save_blood_detector, write_head
from helpers.running_server import APP_DIR, RunningServer

pytestmark = pytest.mark.integration


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


def make_folder(folder: Path) -> Path:
    save_blood_detector(folder / "model")
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "head.nii.gz")
    return folder


def start(folder: Path) -> RunningServer:
    """A server whose trainings are stand-ins: slow ones, but for the preset smoke, and paper, which fails."""
    command = [str(Path(stand_in_server.__file__)), "--studies", str(folder / "studies"), "--port", "0"]
    return RunningServer(folder, folder / "model", command, {}).wait_until_ready()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start(make_folder(tmp_path_factory.mktemp("train")))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def nothing_is_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").request("DELETE", "/train/")


def training(server: RunningServer, **query: str) -> dict[str, Any]:
    answer = server.request("GET", "/train/", params=query)
    assert answer.status_code == 200, answer.text
    record: dict[str, Any] = answer.json()
    return record


def begin(server: RunningServer) -> dict[str, Any]:
    """Start a training and wait until it says how far it is."""
    answer = server.request("POST", "/train/amd_das", json={"client_id": "user-xyz"})
    assert answer.status_code == 200, answer.text
    return wait_for(lambda: record if (record := training(server))["progress"].get("done") else None)


def test_slicers_client_starts_watches_and_stops_a_training(server: RunningServer, tmp_path: Path) -> None:
    from monailabel.client.client import MONAILabelClient

    client = MONAILabelClient(server.url, tmpdir=str(tmp_path), client_id="user-xyz")
    info = client.info()
    names = ["amd_das", "matching", "synthesis", "segmentation", "fine_tune"]
    assert list(info["trainers"]) == list(info["train_stats"]) == names
    config = {key: value[0] for key, value in info["trainers"]["amd_das"]["config"].items()}
    assert not client.train_status(check_if_running=True)

    started = client.train_start("amd_das", config)
    assert started["status"] == "RUNNING"
    assert client.train_status(check_if_running=True)
    wait_for(lambda: client.info()["train_stats"]["amd_das"]["epoch"] == 40)
    status = client.train_status()
    assert (status["id"], status["status"], status["request"]["model"]) == (started["id"], "RUNNING", "amd_das")
    assert status["details"][-1].startswith("40 %; step 4 of 7, synthesis")
    assert "total_time" not in client.info()["train_stats"]["amd_das"]

    stopped = client.train_stop()
    assert (stopped["id"], stopped["status"]) == (started["id"], "STOPPED")
    assert stopped["end_ts"] >= stopped["start_ts"]
    assert "continues where it was" in stopped["details"][-1]
    assert not client.train_status(check_if_running=True)
    assert client.info()["train_stats"]["amd_das"]["total_time"]
    assert client.train_stop() is None


def test_inference_and_info_answer_while_a_training_is_at_work(server: RunningServer) -> None:
    record = begin(server)
    assert server.infer(image="head").status_code == 200
    assert server.request("GET", "/info/").status_code == 200
    assert training(server)["id"] == record["id"]
    log = server.request("GET", "/logs/").text
    assert "training of amd_das: 40 %; step 4 of 7, synthesis" in log


def test_what_ohifs_button_does(server: RunningServer) -> None:
    assert server.request("GET", "/train/?check_if_running=true").status_code == 404
    config = server.request("GET", "/info/").json()["trainers"]["amd_das"]["config"]
    body = {"amd_das": {**config, "preset": "shipped"}}  # lists it has not changed come back as they are
    started = server.request("POST", "/train/", json=body, headers={"Origin": server.url})
    assert started.status_code == 200, started.text
    assert {name: entry["result"]["status"] for name, entry in started.json().items()} == {
        "amd_das": "RUNNING",
        "matching": "SUBMITTED",
        "synthesis": "SUBMITTED",
        "segmentation": "SUBMITTED",
        "fine_tune": "SUBMITTED",
    }
    running = training(server, check_if_running="true")
    assert (running["status"], running["request"]["preset"]) == ("RUNNING", "shipped")
    assert training(server)["request"]["model"] == "amd_das"
    assert [job["request"]["model"] for job in training(server, all="true")[-5:]] == list(started.json())  # type: ignore
    assert server.request("DELETE", "/train/", headers={"Origin": server.url}).json()["status"] == "STOPPED"
    assert {job["status"] for job in training(server, all="true")[-5:]} == {"STOPPED"}  # type: ignore[index]


def test_a_second_training_is_refused_or_stands_in_line(server: RunningServer) -> None:
    begin(server)
    refused = server.request("POST", "/train/matching")
    assert (refused.status_code, refused.json()["error"]) == (429, "busy")
    assert "amd_das is training (40 %)" in refused.json()["detail"]
    queued = server.request("POST", "/train/matching?enqueue=true", json={})
    assert queued.json()["status"] == "SUBMITTED"
    assert queued.json()["details"][-1] == "waiting for amd_das to end"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/train/other", {}, 404, "there are: amd_das, matching, synthesis, segmentation"),
        ("/train/amd_das", {"preset": "best"}, 400, "expected one of shipped, adapt, renew, smoke, paper"),
        ("/train/amd_das", {"max_epochs": 3}, 400, "unknown 'max_epochs'"),
        ("/train/", {"matching": {"device": "tpu"}}, 400, "'device'"),
        ("/train/", {"max_epochs": 3}, 400, "unknown 'max_epochs'"),
        ("/train/", {"steps": 3, "preset": "best"}, 400, "expected one of shipped, adapt, renew, smoke, paper"),
        ("/train/fine_tune", {}, 422, "no scan in"),
        ("/train/fine_tune", {"preset": "smoke"}, 400, "unknown 'preset'; allowed: steps, learning_rate"),
        ("/train/fine_tune", {"steps": "many"}, 400, "'steps' is \"many\"; expected a whole number"),
        ("/train/fine_tune", {"frozen_stages": 9}, 400, "frozen_stages 9: expected 0 to 5"),
        ("/train/amd_das", [1], 400, "dict"),
    ],
)
def test_impossible_requests_are_refused(server: RunningServer, path: str, body: Any, status: int, says: str) -> None:
    answer = server.request("POST", path, json=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    foreign = server.request("POST", "/train/amd_das", headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_a_training_that_ends_by_itself(server: RunningServer) -> None:
    done = server.request("POST", "/train/?run_sync=true", json={"preset": "smoke"}).json()
    assert {entry["result"]["status"] for entry in done.values()} == {"DONE"}
    published = "done; model version 20260101-abcdef12 is published"
    assert done["amd_das"]["result"]["details"][-1] == published
    nothing = done["fine_tune"]["result"]["details"][-1]
    assert nothing.startswith("nothing was learnt: no scan in") and "has a final label" in nothing
    assert server.request("GET", "/info/").json()["train_stats"]["amd_das"]["percent"] == 100

    failed = server.request("POST", "/train/?run_sync=true", json={"preset": "paper"}).json()
    statuses = [entry["result"]["status"] for entry in failed.values()]
    assert statuses == ["ERROR", "STOPPED", "STOPPED", "STOPPED", "DONE"]
    assert failed["amd_das"]["result"]["details"][-1] == "only 3 slices; expected 100 at least"


def test_a_killed_servers_training_is_found_shown_stopped_and_continued(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    server = start(folder)
    record = begin(server)
    home = next((folder / "runs").glob("studies-*"))
    process = psutil.Process(json.loads((home / "jobs" / record["id"] / "job.json").read_text())["pid"])
    server.process.kill()
    server.close()
    try:
        assert process.status() != psutil.STATUS_ZOMBIE
        server = start(folder)
        assert "found the training of amd_das at work" in server.log
        found = training(server, check_if_running="true")
        assert (found["id"], found["status"]) == (record["id"], "RUNNING")
        assert server.request("GET", "/info/").json()["train_stats"]["amd_das"]["epoch"] == 40
        assert server.request("POST", "/train/amd_das").status_code == 429
        assert server.request("DELETE", "/train/").json()["status"] == "STOPPED"
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        kept = int((home / "kept").read_text())
        assert begin(server)["progress"]["done"] > kept

        server.process.send_signal(signal.SIGINT)  # and an orderly end
        assert server.process.wait(30) == 0
    finally:
        server.close()
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert "stopping the training" in server.log
    assert "Traceback" not in server.log
    assert int((home / "kept").read_text()) > kept
    assert {json.loads(path.read_text())["status"] for path in home.glob("jobs/*/job.json")} == {"STOPPED"}


def test_a_source_folder_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    command = [sys.executable, str(APP_DIR / "serve.py"), "--studies", str(tmp_path), "--port", "0", "--conf"]
    for conf, says in (
        (["source", "nowhere"], "the source folder nowhere does not exist"),
        (["x", "y"], "unknown --conf x"),
    ):
        done = subprocess.run([*command, *conf], env=os.environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert done.stderr.startswith(f"cannot start: {says}")
