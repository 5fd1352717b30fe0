"""The pages for people: the list of series, and a series segmented and stored by a button in a real browser."""

import shutil
from html import escape
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.running_orthanc import Orthanc, changed, head_series, missing, web
from helpers.running_server import RunningServer, start_server
from playwright.sync_api import sync_playwright
from pydicom.dataset import Dataset

from amd_das.output.dicom import read_report, read_segmentation
from amd_das.reading import read_volume

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"no Orthanc: {missing()}"),
]

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def head() -> list[Dataset]:
    return changed(head_series(), SeriesDescription=HOSTILE)


@pytest.fixture(scope="module")
def stored(orthanc: Orthanc, head: list[Dataset]) -> None:
    web(orthanc).store(head)


@pytest.fixture(scope="module")
def server(stored: None, pacs_server: RunningServer) -> RunningServer:
    return pacs_server


def address(head: list[Dataset]) -> str:
    return f"/series/{head[0].StudyInstanceUID}/{head[0].SeriesInstanceUID}"


def test_the_start_page_lists_the_series_without_their_patients(server: RunningServer, head: list[Dataset]) -> None:
    start = server.request("GET", "/").text
    assert address(head) in start
    assert escape(HOSTILE) in start
    assert HOSTILE not in start
    assert "2025-01-02" in start
    assert not any(secret in start for secret in ("Doe", "PAT-4711"))


@pytest.mark.parametrize(
    ("path", "status"), [("/series/1.2.3/4.5.6", 404), ("/series/x/y", 404), ("/pages/frame.py", 404)]
)
def test_what_is_not_there_is_said_to_be(server: RunningServer, path: str, status: int) -> None:
    assert server.request("GET", path).status_code == status


def test_pages_run_no_scripts_but_ours(server: RunningServer, head: list[Dataset]) -> None:
    answer = server.request("GET", address(head))
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "Not a medical device" in answer.text
    assert HOSTILE not in answer.text


def test_a_button_segments_and_stores(
    server: RunningServer, orthanc: Orthanc, head: list[Dataset], tmp_path: Path
) -> None:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH; apt-get install chromium")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(90_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url + address(head))
        assert page.title() == HOSTILE, "a description was run as a script"
        assert page.get_by_text("Nothing of AMD-DAS yet").is_visible()
        page.locator("button#segment").click()
        page.locator("#volume").wait_for()
        shown = page.locator("#volume").inner_text()
        picture = page.locator("img.overlay")
        picture.wait_for()
        assert picture.evaluate("image => image.naturalWidth") > 100, "the overlay picture did not load"
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        browser.close()
    assert all(url.startswith((server.url, "data:")) for url in asked), asked

    pacs = web(orthanc)
    series = pacs.find_series(head[0].SeriesInstanceUID)
    stored = {one.series.modality: pacs.read(one.series)[0] for one in pacs.results_for(series)}
    assert set(stored) == {"SEG", "SR"}
    report = read_report(stored["SR"])
    assert report is not None
    assert shown.startswith(f"{report.volume_ml:.1f} mL")
    pacs.fetch(series, tmp_path / "ct")
    answer = server.infer(image=series.series_uid, output="image")
    (tmp_path / "mask.nii.gz").write_bytes(answer.content)
    inferred = np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj)
    np.testing.assert_array_equal(read_segmentation(stored["SEG"], read_volume(tmp_path / "ct")), inferred)
    assert inferred.any()


def test_a_pacs_that_is_down_is_said_to_be(tmp_path: Path, model_dir: Path, head: list[Dataset]) -> None:
    server = start_server(tmp_path, model_dir, studies="http://127.0.0.1:9/dicom-web").wait_until_ready()
    try:
        start = server.request("GET", "/")
        assert start.status_code == 200
        assert "127.0.0.1:9" in start.text
        assert server.request("GET", address(head)).status_code == 503
    finally:
        server.close()
