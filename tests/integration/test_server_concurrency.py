"""Other clients are answered while a scan is segmented, and scans take turns."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
import requests
from helpers.heads import make_head
from helpers.running_server import RunningServer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def large_scan() -> bytes:
    """256 × 256 × 24 at 0.8 mm: seconds of work."""
    hu, _ = make_head((256, 256, 24))
    return nibabel.Nifti1Image(hu, np.diag([0.8, 0.8, 6.0, 1.0])).to_bytes()


def segment(server: RunningServer, scan: bytes) -> requests.Response:
    return server.infer(files={"file": ("large.nii", scan)})


def test_info_answers_while_an_inference_runs(open_server: RunningServer, large_scan: bytes) -> None:
    answers: list[requests.Response] = []
    worker = threading.Thread(target=lambda: answers.append(segment(open_server, large_scan)))
    delays: list[float] = []
    busy = 0
    with requests.Session() as session:
        worker.start()
        while worker.is_alive():
            asked = time.perf_counter()
            session.get(f"{open_server.url}/info/", timeout=60).raise_for_status()
            delays.append(time.perf_counter() - asked)
            queue = session.get(f"{open_server.url}/queue", timeout=60).json()
            busy += queue["devices"].get("cpu", {}).get("running", 0)
            time.sleep(0.02)
    assert answers[0].status_code == 200, answers[0].text
    seconds = answers[0].json()["latencies"]["total"]
    assert busy >= 3
    assert np.median(delays) < max(0.2, 0.1 * seconds)


def test_scans_take_turns_and_the_queue_is_visible(open_server: RunningServer, large_scan: bytes) -> None:
    finished = open_server.request("GET", "/queue").json()["devices"].get("cpu", {}).get("finished", 0)
    seen: list[dict[str, int]] = []
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(segment, open_server, large_scan) for _ in range(3)]
        while not all(future.done() for future in futures):
            seen.append(open_server.request("GET", "/queue").json()["devices"].get("cpu", {}))
            time.sleep(0.05)
    records = [future.result().json() for future in futures]
    assert {record["volume_ml"] for record in records} == {records[0]["volume_ml"]}
    assert max(state.get("running", 0) for state in seen) == 1
    assert max(state.get("waiting", 0) for state in seen) >= 1
    assert max(record["latencies"]["queue"] for record in records) > 0
    assert open_server.request("GET", "/queue").json()["devices"]["cpu"] == {
        "running": 0,
        "waiting": 0,
        "finished": finished + 3,
    }
    assert open_server.leftovers() == []
