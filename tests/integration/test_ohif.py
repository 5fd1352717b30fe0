"""OHIF in a real browser, against a real Orthanc: a study opened, segmented, and outlined in the right place."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.running_orthanc import Orthanc, changed, head_series, missing, start_orthanc, web
from helpers.running_server import RunningServer, start_server
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright
from pydicom.uid import generate_uid

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no Orthanc: {missing()}"),
]

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 120_000
"""Everything is drawn by the processor, and a test machine may be busy."""


@pytest.fixture(scope="module")
def study() -> str:
    return generate_uid()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, study: str) -> Iterator[Orthanc]:
    running = start_orthanc(tmp_path_factory.mktemp("orthanc"))
    web(running).store(changed(head_series(study_uid=study), WindowCenter=40, WindowWidth=80))
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model_dir: Path, orthanc: Orthanc) -> Iterator[RunningServer]:
    running = start_server(tmp_path_factory.mktemp("server"), model_dir, studies=orthanc.url)
    yield running.wait_until_ready()
    running.close()


@pytest.fixture
def page(server: RunningServer) -> Iterator[Page]:
    """A page that notes requests to anywhere but the server, and lets none of them out."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH; apt-get install chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.set_default_timeout(PATIENCE_MS)
        strangers: list[str] = []

        def refuse(route: Route) -> None:
            strangers.append(route.request.url)
            route.abort()

        page.route(lambda url: not url.startswith((f"{server.url}/", "blob:", "data:")), refuse)
        yield page
        browser.close()
    assert strangers == [], "the browser asked others for something"


def picture(page: Page, path: Path) -> np.ndarray:
    """(H, W, 3) int of the first viewport as it is seen."""
    shot = page.locator(".viewport-element").first.screenshot(timeout=PATIENCE_MS, path=path)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def test_the_study_list_shows_the_pacs(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/ohif/")
    page.get_by_text("Doe, Jane").first.wait_for()


def test_auto_segmentation_outlines_the_bleed(page: Page, server: RunningServer, study: str, tmp_path: Path) -> None:
    page.goto(f"{server.url}/ohif/monai-label?StudyInstanceUIDs={study}")
    page.get_by_text("Confirm and Hide").click()
    address = page.locator("#monailabelServerURL")
    address.wait_for()
    assert address.input_value() == f"{server.url}/", "the panel looks for another server"
    page.get_by_text("W:").first.wait_for()  # a slice is shown
    with page.expect_response(lambda answer: answer.url.endswith("/info/")) as info:
        page.locator("#monailabelServerURL").locator("xpath=ancestor::tr").locator("button").click()
    assert info.value.ok
    run = page.get_by_role("button", name="Run").first
    run.wait_for()
    page.wait_for_timeout(2000)
    before = picture(page, tmp_path / "before.png")
    with page.expect_response(lambda answer: "/infer/amd_das" in answer.url) as segmented:
        run.click()
    assert segmented.value.ok
    page.wait_for_timeout(4000)
    after = picture(page, tmp_path / "after.png")

    grey = before.mean(axis=2)
    painted = (np.ptp(after, axis=2) > 40) & (np.abs(after - before).max(axis=2) > 20)
    blood = (grey > 190) & (grey < 250)
    assert painted.sum() > 50, "nothing was outlined"
    assert blood[painted].mean() > 0.7, "what is outlined is not the blood"
