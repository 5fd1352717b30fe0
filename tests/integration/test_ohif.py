"""OHIF in a real browser, against a real Orthanc: a study opened, segmented, and outlined in the right place."""

import gzip
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_nodes import wait_for
from helpers.running_orthanc import Orthanc, changed, head_series, missing, web
from helpers.running_server import RunningServer
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no Orthanc: {missing()}"),
]

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 120_000
"""Everything is drawn by the processor, and a test machine may be busy."""


def upright() -> list[Dataset]:
    """As most scanners send it, with a window for blood."""
    return changed(head_series(patient_id=generate_uid()[-12:]), WindowCenter=40, WindowWidth=80)


def flipped() -> list[Dataset]:
    """The same head with rows from back to front, so that the slices' normal points to the feet."""
    slices = upright()
    for dataset in slices:
        rows = np.frombuffer(dataset.PixelData, np.int16).reshape(dataset.Rows, dataset.Columns)
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.PixelData = rows[::-1].tobytes()
        dataset.ImagePositionPatient = [x, y + 2 * (dataset.Rows - 1), z]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, -1, 0]
    return slices


def tilted() -> list[Dataset]:
    """The same head by a tilted gantry: each slice a little further back than the one below."""
    slices = upright()
    for number, dataset in enumerate(slices):
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, round(y + 2.1436 * number, 4), z]
        dataset.GantryDetectorTilt = 15
    return slices


HEADS = {"upright": upright, "flipped": flipped, "tilted": tilted}


@pytest.fixture(scope="module")
def heads() -> dict[str, list[Dataset]]:
    return {name: make() for name, make in HEADS.items()}


@pytest.fixture(scope="module")
def stored(orthanc: Orthanc, heads: dict[str, list[Dataset]]) -> None:
    for head in heads.values():
        web(orthanc).store(head)


@pytest.fixture(scope="module")
def server(stored: None, pacs_server: RunningServer) -> RunningServer:
    return pacs_server


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


PANEL_MASK = """() => {
  const mask = services.segmentationService.getLabelmapVolume('1').voxelManager.getCompleteScalarDataArray();
  return Array.from(mask.keys()).filter((at) => mask[at]);
}"""
"""What the MONAI Label panel shows: voxels that are set, counted along the first axis, then the second."""

LOADED = """() => {
  const found = services.segmentationService.getSegmentations()[0];
  const slices = found.representationData.Labelmap.imageIds.map((id) => {
    const image = cornerstone.cache.getImage(id);
    const mask = image.voxelManager.getScalarData();
    const uid = image.referencedImageId.match(/instances\\/([0-9.]+)/)[1];
    return [uid, Array.from(mask.keys()).filter((at) => mask[at])];
  });
  return { segments: Object.values(found.segments).map((one) => one.label), slices: Object.fromEntries(slices) };
}"""
"""The SEG that was loaded: names of its segments, and by SOPInstanceUID of the slice the pixels that are set."""


def open_study(page: Page, mode: str, head: list[Dataset]) -> None:
    """The study in one of the viewer's modes, until a slice is shown."""
    page.goto(f"{mode}?StudyInstanceUIDs={head[0].StudyInstanceUID}")
    page.get_by_text("Confirm and Hide").click()
    page.locator("#amd-das-notice").get_by_text("Not a medical device").wait_for()
    page.get_by_text("W:").first.wait_for()


def inferred(server: RunningServer, head: list[Dataset]) -> np.ndarray:
    """The mask that /infer gives, (columns, rows, slices along their normal)."""
    answer = server.infer(image=head[0].SeriesInstanceUID, output="image", params='{"result_extension": ".nii.gz"}')
    mask = np.asanyarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content)).dataobj)
    assert mask.any()
    return mask


def picture(page: Page, path: Path) -> np.ndarray:
    """(H, W, 3) int of the first viewport as it is seen."""
    shot = page.locator(".viewport-element").first.screenshot(timeout=PATIENCE_MS, path=path)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def test_the_study_list_shows_the_pacs(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/ohif/")
    page.get_by_text("Doe, Jane").first.wait_for()
    assert page.get_by_text("Upload").count() == 0


@pytest.mark.parametrize("name", HEADS)
def test_auto_segmentation_outlines_the_bleed(
    page: Page, server: RunningServer, heads: dict[str, list[Dataset]], name: str, tmp_path: Path
) -> None:
    head = heads[name]
    open_study(page, f"{server.url}/ohif/monai-label", head)
    address = page.locator("#monailabelServerURL")
    assert address.input_value() == f"{server.url}/", "the panel looks for another server"
    with page.expect_response(lambda answer: answer.url.endswith("/info/")) as info:
        address.locator("xpath=ancestor::tr").locator("button").click()
    assert info.value.ok
    run = page.get_by_role("button", name="Run").first
    run.wait_for()
    page.wait_for_timeout(2000)
    before = picture(page, tmp_path / "before.png")
    with page.expect_response(lambda answer: "/infer/amd_das" in answer.url) as segmented:
        run.click()
    assert segmented.value.ok
    page.wait_for_function(f"({PANEL_MASK})().length > 0")
    page.wait_for_timeout(2000)
    after = picture(page, tmp_path / "after.png")

    expected = inferred(server, head)
    shown = np.zeros(expected.size, np.uint8)
    shown[page.evaluate(PANEL_MASK)] = 1
    np.testing.assert_array_equal(shown.reshape(expected.shape, order="F"), expected)

    grey = before.mean(axis=2)
    painted = (np.ptp(after, axis=2) > 40) & (np.abs(after - before).max(axis=2) > 20)
    blood = (grey > 190) & (grey < 250)
    assert painted.sum() > 50, "nothing was outlined"
    assert blood[painted].mean() > 0.7, "what is outlined is not the blood"


def test_the_stored_segmentation_is_loaded_over_its_ct(
    page: Page, server: RunningServer, heads: dict[str, list[Dataset]], tmp_path: Path
) -> None:
    head = heads["flipped"]
    wish = f"/studies/{head[0].StudyInstanceUID}/series/{head[0].SeriesInstanceUID}/segment"
    job = server.request("POST", wish, json={"store": True}).json()["links"]["self"]
    wait_for(lambda: server.request("GET", job).json()["state"] == "done", "the stored result", 60)

    open_study(page, f"{server.url}/ohif/viewer", head)
    page.get_by_text("AMD-DAS segmentation").first.dblclick()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_function("services.segmentationService.getSegmentations().length === 1")
    page.wait_for_timeout(3000)
    picture(page, tmp_path / "loaded.png")
    loaded = page.evaluate(LOADED)
    assert loaded["segments"] == ["Intraparenchymal hemorrhage"]
    expected = inferred(server, head)
    shown = np.zeros_like(expected)
    # slices of the mask go along the normal, here to the feet
    numbers = {dataset.SOPInstanceUID: len(head) - 1 - number for number, dataset in enumerate(head)}
    for uid, pixels in loaded["slices"].items():
        flat = np.zeros(expected[:, :, 0].size, np.uint8)
        flat[pixels] = 1
        shown[:, :, numbers[uid]] = flat.reshape(expected.shape[:2], order="F")
    np.testing.assert_array_equal(shown, expected)
