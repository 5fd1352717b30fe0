"""``make serve-pacs``: a sample PACS and the server before it start and stop together."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from helpers.running_orthanc import missing
from helpers.running_server import APP_DIR, START_SECONDS

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_both_start_and_stop_together(tmp_path: Path, model_dir: Path, how: signal.Signals) -> None:
    if lacking := missing():
        pytest.skip(lacking)
    command = ["--port", "0", "--samples", "0", "--folder", str(tmp_path / "pacs")]
    log = tmp_path / "log"
    settings = {"AMD_DAS_MODEL_DIR": str(model_dir), "AMD_DAS_RUNS_DIR": str(tmp_path / "runs")}
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, str(APP_DIR / "serve_pacs.py"), *command],
            env={**settings, "AMD_DAS_CACHE_DIR": str(tmp_path / "cache"), "PATH": "/usr/sbin:/usr/bin:/bin"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Stop with Ctrl+C" not in log.read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        server, pacs = re.findall(r"browser +(http://\S+?)/\n|DICOMweb (http://\S+),", log.read_text())[::-1]
        info = requests.get(f"{server[0]}/info/", timeout=60).json()
        assert (info["datastore"]["total"], "No scans" in info["description"]) == (0, False)
        assert requests.get(f"{pacs[1]}/studies", timeout=10).json() == []
        assert (tmp_path / "pacs" / "orthanc").stat().st_mode & 0o077 == 0
    finally:
        running.send_signal(how)
        status = running.wait(60)
    assert status == 0, log.read_text()
    for url in (server[0], pacs[1]):
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), 2):
            pass


def test_without_orthanc_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from amd_das_app.pacs import orthanc

    monkeypatch.setattr(orthanc, "_PROGRAMS", ())
    monkeypatch.setattr(orthanc, "_PLUGINS", ())
    monkeypatch.setenv("PATH", "")
    assert orthanc.missing().endswith("install with: apt-get install orthanc orthanc-dicomweb")
