"""The server with a certificate of its own: https only, and a cookie that never travels in clear."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from helpers.certificate import write_certificate
from helpers.heads import write_head
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_server import RunningServer, start_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, certificate: tuple[Path, Path]
) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("https")
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "right.nii.gz", bleed_x=10)
    add_people(folder / "runs" / "accounts")
    cert, key = map(str, certificate)
    running = start_server(folder, model_dir, AMD_DAS_TLS_CERT=cert, AMD_DAS_TLS_KEY=key, REQUESTS_CA_BUNDLE=cert)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", cert)
        yield running.wait_until_ready()
    running.close()


def test_it_answers_by_https_alone(server: RunningServer) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    assert server.request("GET", "/auth/").json()["enabled"] is True
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url.replace("https", "http") + "/auth/", timeout=10)


def test_a_browser_logs_in_and_reads(server: RunningServer) -> None:
    session = requests.Session()
    form = {"username": NAMES["user"], "password": PASSWORD, "next": "/info/"}
    answer = session.post(f"{server.url}/login", data=form, allow_redirects=False, timeout=30)
    assert "Secure" in answer.headers["Set-Cookie"]
    led = session.get(f"{server.url}{answer.headers['Location']}", timeout=30)
    assert led.status_code == 200
    assert "amd_das" in led.json()["models"]
