"""Starting: the launcher's checks and greeting, a missing model, and MONAI Label's own launcher."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.heads import write_head
from helpers.running_server import APP_DIR, RunningServer, start_server

pytestmark = pytest.mark.integration


def launch(*arguments: str, **settings: str) -> tuple[int, str, float]:
    """Exit status, output and seconds of a launch that should fail."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(APP_DIR / "serve.py"), *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def test_a_missing_studies_folder_is_said_at_once(tmp_path: Path) -> None:
    status, output, _ = launch("--studies", str(tmp_path / "none"), "--port", "0")
    assert status == 2
    assert output.startswith("cannot start: the studies folder")
    assert output.count("\n") == 1


def test_a_busy_port_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, output, _ = launch("--studies", str(tmp_path), "--port", port)
    assert status == 2
    assert output.startswith(f"cannot start: 127.0.0.1 port {port}: Address already in use")
    assert output.count("\n") == 1


def test_an_unknown_setting_is_said(tmp_path: Path) -> None:
    status, output, _ = launch("--studies", str(tmp_path), "--port", "0", AMD_DAS_COLOUR="red")
    assert status == 2
    assert "cannot start: unknown setting AMD_DAS_COLOUR; known: AMD_DAS_HOST" in output


def test_the_greeting_says_what_to_open_and_a_command_that_works(server: RunningServer) -> None:
    assert f"browser     {server.url}/" in server.log
    assert f"server {server.url}\n" in server.log
    assert "Research use only" in server.log
    assert server.url.startswith("http://127.0.0.1:")
    command = next(line.split("terminal", 1)[1].strip() for line in server.log.splitlines() if "curl" in line)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert '"volume_ml":' in done.stdout


def test_without_a_model_the_server_starts_says_so_and_stops_quietly(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    write_head(tmp_path / "studies" / "case.nii.gz")
    running = start_server(tmp_path, tmp_path / "no-model").wait_until_ready()
    try:
        info = running.request("GET", "/info/").json()
        assert info["models"] == {}
        assert "No model, so nothing can be segmented" in info["description"]
        answer = running.infer(image="case")
        assert (answer.status_code, answer.json()["error"]) == (503, "model")
        assert "NO MODEL" in running.log
        assert running.request("GET", "/").status_code == 200
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0
    finally:
        running.close()
    assert "Traceback" not in running.log


def test_monai_labels_own_launcher_works_too(tmp_path: Path, model_dir: Path) -> None:
    (tmp_path / "studies").mkdir()
    write_head(tmp_path / "studies" / "case.nii.gz")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["-m", "monailabel.main", "start_server", "--app", str(APP_DIR), "--studies", str(tmp_path / "studies")]
    running = RunningServer(tmp_path, model_dir, [*command, "--host", "127.0.0.1", "--port", port], {})
    try:
        running.wait_until_ready(f"http://127.0.0.1:{port}")
        assert list(running.request("GET", "/info/").json()["models"]) == [
            "amd_das",
            "amd_das_edit",
            "amd_das_scribbles",
        ]
        answer = running.infer(image="case", params='{"result_extension": ".nrrd"}')
        assert answer.json()["lesions"][0]["side"] == "right", answer.text
        unknown = running.infer(image="nobody")
        assert (unknown.status_code, "no such image" in unknown.text) == (404, True)
        assert [name for name in running.leftovers() if not name.endswith(".json")] == []  # its log configuration stays
    finally:
        running.close()
