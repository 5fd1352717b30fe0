"""OHIF before a server with users: its page leads to the log-in, and the cookie alone opens the PACS."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_orthanc import Orthanc, head_series, missing, web
from helpers.running_server import RunningServer, start_server
from playwright.sync_api import Response, sync_playwright

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"no Orthanc: {missing()}"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; apt-get install chromium"),
]

STUDIES = "/proxy/dicom/qido/studies"


@pytest.fixture
def server(tmp_path: Path, model_dir: Path, orthanc: Orthanc) -> Iterator[RunningServer]:
    web(orthanc).store(head_series())
    add_people(tmp_path / "runs" / "accounts")
    running = start_server(tmp_path, model_dir, studies=orthanc.url)
    yield running.wait_until_ready()
    running.close()


def test_the_viewer_lists_studies_after_the_log_in(server: RunningServer, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def keep(answer: Response) -> None:
        seen.append((answer.url.removeprefix(server.url), answer.status))

    assert server.request("GET", STUDIES).status_code == 401
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.set_default_timeout(120_000)
        page.goto(f"{server.url}/ohif/?datasources=dicomweb")
        assert page.url == f"{server.url}/login?next=%2Fohif%2F%3Fdatasources%3Ddicomweb"
        page.on("response", keep)
        page.get_by_label("User name").fill(NAMES["user"])
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Study list").wait_for()
        page.get_by_text("Doe").first.wait_for()
        page.screenshot(path=tmp_path / "studies.png")
        told = page.evaluate("async (path) => (await fetch(path, {credentials: 'omit'})).status", STUDIES)
        browser.close()
    assert [(path, status) for path, status in seen if path.startswith(STUDIES) and status == 200]
    assert [(path, status) for path, status in seen if status in (401, 403) and path != STUDIES] == []
    assert told == 401
