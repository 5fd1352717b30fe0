"""The loop of corrections through the running server: submit labels, fine-tune, published or kept, and used."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.heads import save_blood_detector
from helpers.running_server import RunningServer, start_server
from helpers.tiny_fine_tuning import write_labelled

from amd_das import models

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

GENTLE = {"steps": 80, "learning_rate": 1e-5, "device": "cpu", "client_id": "user-xyz"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Four heads without labels; what a reader would draw lies in ``drawn/``."""
    save_blood_detector(tmp_path / "model")
    for name, bleed_x in (("a", 10.0), ("b", -10.0), ("c", 14.0), ("d", None)):
        write_labelled(tmp_path / "studies", name, bleed_x=bleed_x)
    (tmp_path / "studies" / "labels" / "final").rename(tmp_path / "drawn")
    shutil.rmtree(tmp_path / "studies" / "labels")
    running = start_server(tmp_path, tmp_path / "model").wait_until_ready()
    yield running
    running.request("DELETE", "/train/")
    running.close()


def poll(server: RunningServer, until: Callable[[dict[str, Any]], Any], seconds: float = 300) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        record: dict[str, Any] = server.request("GET", "/train/").json()
        if until(record):
            return record
        assert time.monotonic() < deadline, record
        time.sleep(0.2)


def ended(record: dict[str, Any]) -> bool:
    return record["status"] in ("DONE", "ERROR", "STOPPED")


def version_of(server: RunningServer) -> str:
    version: str = server.infer(image="a").json()["model"]["version"]
    return version


def test_labels_are_submitted_learnt_from_and_the_new_version_serves(server: RunningServer, tmp_path: Path) -> None:
    from monailabel.client.client import MONAILabelClient

    client = MONAILabelClient(server.url, tmpdir=str(tmp_path / "tmp"), client_id="user-xyz")
    before = version_of(server)
    refused = server.request("POST", "/train/fine_tune", json=GENTLE)
    assert (refused.status_code, refused.json()["error"]) == (422, "nothing_labelled")
    assert "has a final label" in refused.json()["detail"]
    with pytest.raises(Exception, match="final label"):
        client.train_start("fine_tune", {})

    for name in ("a", "b", "c", "d"):
        client.save_label(name, str(tmp_path / "drawn" / f"{name}.nii.gz"), tag="final")
    started = client.train_start("fine_tune", GENTLE)
    assert (started["status"], started["request"]["model"]) == ("RUNNING", "fine_tune")
    busy = server.request("POST", "/train/fine_tune", json=GENTLE)
    assert (busy.status_code, "fine_tune is training" in busy.json()["detail"]) == (429, True)
    poll(server, lambda record: record["progress"].get("step") == "fine_tuning" and record["progress"]["done"] > 0)
    assert version_of(server) == before, "it serves meanwhile"

    stopped = client.train_stop()
    assert stopped["status"] == "STOPPED", stopped
    client.train_start("fine_tune", GENTLE)
    done = poll(server, ended)
    assert done["status"] == "DONE", done
    version = models.current_version(tmp_path / "model")
    assert version != before
    assert done["details"][-1].startswith(f"published {version}: not worse on 1 held-out bleed(s)")
    deadline = time.monotonic() + 30
    while version_of(server) != version:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stats = client.info()["train_stats"]["fine_tune"]
    assert (stats["status"], stats["percent"], stats["version"]) == ("DONE", 100, version)
    assert models.read_info(tmp_path / "model", version).metrics["champion"]["version"] == before

    again = server.request("POST", "/train/fine_tune?run_sync=true", json=GENTLE).json()
    assert again["status"] == "DONE" and "no label has changed" in again["details"][-1]

    client.save_label("b", str(tmp_path / "drawn" / "d.nii.gz"), tag="final")  # corrected: nothing there, after all
    kept = server.request(
        "POST", "/train/fine_tune?run_sync=true", json={**GENTLE, "learning_rate": 0.1, "frozen_stages": 0}
    ).json()
    assert kept["status"] == "DONE", kept
    assert models.current_version(tmp_path / "model") in kept["details"][-1] or "kept" in kept["details"][-1]
    assert len(models.list_versions(tmp_path / "model")) == 3
    assert "PAT-4711" not in server.log and "Traceback" not in server.log
