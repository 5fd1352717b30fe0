"""The dashboard in a real browser: its flows, the keyboard, a phone's width, and that nothing leaves the machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import stand_in_server
from helpers.heads import save_blood_detector, write_head
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_orthanc import Orthanc, changed, head_series, missing, web
from helpers.running_server import RunningServer, start_server
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from amd_das.training import history

CHROMIUM = shutil.which("chromium")
PAGES = ("", "/worklist", "/models", "/training", "/agreement", "/server")
PHONE = {"width": 375, "height": 740}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; apt-get install chromium"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A model folder with three versions, made one after the other; the middle one is in use."""
    folder = tmp_path_factory.mktemp("dashboard")
    names = []
    for number, bias in enumerate((-10.0, -11.0, -12.0)):
        names.append(save_blood_detector(folder / "model", bias, make_current=number == 1).version)
        os.utime(folder / "model" / "versions" / names[-1] / "model.json", (number, number))
    return folder, names


@pytest.fixture(scope="module")
def server(versions: tuple[Path, list[str]]) -> Iterator[RunningServer]:
    """Trainings are stand-ins: "shipped" goes on until it is stopped, "paper" fails."""
    folder = versions[0]
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "left.nii.gz", bleed_x=-10)
    write_head(folder / "studies" / "right.nii.gz", bleed_x=10)
    command = [str(Path(stand_in_server.__file__)), "--studies", str(folder / "studies"), "--port", "0"]
    running = RunningServer(folder, folder / "model", command, {"AMD_DAS_SCORE_AFTER": "1"}).wait_until_ready()
    (run,) = (folder / "runs").glob("studies-*")
    (run / "synthesis-0123456789ab").mkdir()
    for step in (5, 10, 15):
        history.append(run / "synthesis-0123456789ab", {"step": step, "losses": {"cycle": 1 / step}})
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(server: RunningServer, browser: Browser) -> Iterator[Open]:
    """Opens a page of the dashboard; afterwards, no request may have left and no error may be in the console."""
    asked: list[str] = []
    errors: list[str] = []
    opened: list[Page] = []

    def opening(path: str, viewport: dict[str, int] | None = None, *, expected_errors: bool = False) -> Page:
        page = browser.new_page(viewport=viewport or {"width": 1280, "height": 800})  # type: ignore[arg-type]
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        if not expected_errors:
            page.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(f"{server.url}/dashboard{path}")
        opened.append(page)
        return page

    yield opening
    for page in opened:
        page.close()
    assert errors == []
    assert all(url.startswith((server.url, "data:")) for url in asked), asked


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With one user of each role, and a version to publish."""
    folder = tmp_path_factory.mktemp("guarded")
    in_use = save_blood_detector(folder / "model").version
    newer = save_blood_detector(folder / "model", -11.0, make_current=False).version
    for number, version in enumerate((in_use, newer)):
        os.utime(folder / "model" / "versions" / version / "model.json", (number, number))
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "right.nii.gz")
    add_people(folder / "runs" / "accounts")
    running = start_server(folder, folder / "model")
    yield running.wait_until_ready()
    running.close()


def accept(asked: list[str]) -> Callable[[Dialog], None]:
    def accepting(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    return accepting


def test_every_page_on_a_phone_and_on_a_screen(open_page: Open) -> None:
    for path in PAGES:
        for viewport in (PHONE, None):
            page = open_page(path, viewport)
            expect(page.get_by_text("Not a medical device").first).to_be_visible()
            assert page.locator("h1").count() == 1
            expect(page.locator("nav a[aria-current=page]")).to_have_count(1)
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond <= 0, f"{path or '/'} is {beyond} pixels too wide at {viewport}"
            page.close()


def test_the_start_page_leads_there(server: RunningServer, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_role("main").get_by_role("link", name="Dashboard").click()
    expect(page).to_have_title("Overview · AMD-DAS")
    page.close()


def test_a_training_is_started_watched_and_stopped(server: RunningServer, open_page: Open) -> None:
    page, asked = open_page("/training"), list[str]()
    page.on("dialog", accept(asked))
    form = page.locator("form").first
    form.get_by_label("Preset").select_option("shipped")
    form.get_by_role("button", name="Start").click()
    expect(page.locator("#said")).to_contain_text("started")
    expect(page.locator("#percent")).to_contain_text("40 %")
    expect(page.locator("#percent")).to_contain_text("learning to translate MRI to CT")
    expect(page.get_by_text("left in this step")).to_be_visible()
    shown = page.locator("#percent").inner_text()
    page.wait_for_function("before => document.querySelector('#percent').innerText !== before", arg=shown)
    curves = page.get_by_role("img", name="Curves of the losses up to step 15. Last values: cycle 0.0667.")
    assert curves.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#said")).to_have_text("The training is stopped.")
    expect(page.get_by_role("region", name="The latest training").get_by_text("stopped", exact=True)).to_be_visible()
    assert server.request("GET", "/train/").json()["status"] == "STOPPED"
    assert "takes the place of the model in use" in asked[0] and "What it has done is kept" in asked[1]


def test_a_refused_start_says_why(open_page: Open) -> None:
    page = open_page("/training", expected_errors=True)
    page.get_by_text("Learn from corrected scans").click()
    form = page.locator("details[open] form")
    form.get_by_label("Frozen stages").fill("9")
    form.get_by_role("button", name="Start").click()
    expect(page.locator("#said")).to_contain_text("frozen_stages 9: expected 0 to 5")
    expect(page.locator("#said")).to_have_class("failed")
    expect(form.get_by_label("Frozen stages")).to_have_value("9")


def test_a_failed_training_says_why(open_page: Open) -> None:
    page = open_page("/training")
    page.on("dialog", lambda dialog: dialog.accept())
    form = page.locator("form").first
    form.get_by_label("Preset").select_option("paper")
    form.get_by_role("button", name="Start").click()
    expect(page.get_by_text("only 3 slices; expected 100 at least").first).to_be_visible()


def test_versions_are_published_rolled_back_and_removed(
    server: RunningServer, open_page: Open, versions: tuple[Path, list[str]]
) -> None:
    oldest, middle, newest = versions[1]
    page, asked = open_page("/models"), list[str]()
    page.on("dialog", accept(asked))

    def in_use(version: str) -> None:
        expect(page.get_by_role("row").filter(has_text=version).get_by_text("in use", exact=True)).to_be_visible()
        assert server.request("GET", "/models/").json()["in_use"] == version
        assert version in server.request("GET", "/info/").json()["models"]["amd_das"]["description"]

    page.get_by_role("button", name=f"Publish: put {newest} to use").click()
    expect(page.locator("#said")).to_have_text(f"{newest} is in use.")
    in_use(newest)
    page.get_by_role("button", name=f"Roll back: put {middle} to use").click()
    expect(page.locator("#said")).to_have_text(f"{middle} is in use.")
    in_use(middle)
    page.get_by_role("button", name=f"Remove {oldest}").click()
    expect(page.get_by_role("row").filter(has_text=oldest)).to_have_count(0)
    assert [message.split(":")[0].split(" ")[0] for message in asked] == ["Publish", "Roll", "Remove"]
    page.get_by_role("link", name=middle).click()
    expect(page.get_by_text("Set by hand, for tests.")).to_be_visible()


def test_the_worklist_is_filtered_and_cases_are_skipped(open_page: Open) -> None:
    page = open_page("/worklist")
    rows = page.locator("tbody tr")
    expect(page.get_by_role("img", name="Slice of right with the outline of the bleed")).to_be_visible()
    page.get_by_label("Name contains").fill("LEFT")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Skip left").click()
    expect(rows.get_by_text("skipped", exact=True)).to_be_visible()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Put left back into the list").click()
    expect(rows.get_by_text("new", exact=True)).to_be_visible()


def test_outlines_are_compared_once_there_is_a_final_label(server: RunningServer, open_page: Open) -> None:
    page = open_page("/agreement")
    expect(page.get_by_text("Nothing to compare yet")).to_be_visible()
    mask = server.infer(image="right", output="image").content
    saved = server.request(
        "PUT", "/datastore/label", params={"image": "right", "tag": "final"}, files={"label": ("m.nii.gz", mask)}
    )
    assert saved.status_code == 200, saved.text
    plot = page.get_by_role("img", name="Bland-Altman plot")
    plot.wait_for(timeout=60_000)
    assert plot.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    expect(page.get_by_role("row").filter(has_text="right").get_by_text("+0.0 mL")).to_be_visible()


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page("/worklist")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(12):
        page.keyboard.press("Tab")
        if (page.evaluate("document.activeElement.getAttribute('aria-label')") or "").startswith("Skip "):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is not to be seen"
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    with page.expect_response(lambda answer: answer.url.endswith("/live")):
        pass
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label, "an update took the focus"
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("is skipped")
    page.get_by_role("button", name="back into the list").press("Enter")
    expect(page.locator("#said")).to_contain_text("is back in the list")


def test_a_server_that_is_gone_is_told(open_page: Open) -> None:
    page = open_page("", expected_errors=True)
    page.route("**/live", lambda route: route.abort())
    expect(page.locator("#lost")).to_contain_text("does not answer")
    page.unroute("**/live")
    expect(page.locator("#lost")).to_be_hidden()


def test_what_is_asked_for_wrongly_is_refused(server: RunningServer, versions: tuple[Path, list[str]]) -> None:
    in_use = server.request("GET", "/models/").json()["in_use"]
    for method, path, status, says in (
        ("GET", "/dashboard/nothing", 404, "there are: worklist"),
        ("GET", "/dashboard/nothing/live", 404, "there are: worklist"),
        ("GET", "/dashboard/worklist?order=x", 400, "expected one of volume"),
        ("GET", "/dashboard/worklist?page=x", 400, "page"),
        ("GET", "/dashboard/models/nothing", 404, "no model version"),
        ("GET", "/dashboard/plots/..%2f..%2fjobs.curves.svg", 404, ""),
        ("GET", "/dashboard/plots/nothing.curves.svg", 404, "no training 'nothing'"),
        ("GET", "/dashboard/plots/pseudo-ct.png", 404, "no MRI has been translated"),
        ("POST", "/models/nothing/use", 404, "no model version 'nothing'"),
        ("DELETE", "/models/nothing", 404, "no model version 'nothing'"),
        ("DELETE", f"/models/{in_use}", 409, "put another to use first"),
    ):
        answer = server.request(method, path)
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), (path, answer.text)
    foreign = server.request("POST", f"/models/{in_use}/use", headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_a_damaged_version_is_not_put_to_use(server: RunningServer, versions: tuple[Path, list[str]]) -> None:
    folder, names = versions
    in_use = server.request("GET", "/models/").json()["in_use"]
    weights = folder / "model" / "versions" / names[2] / "weights.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-4] + b"oops")
    try:
        answer = server.request("POST", f"/models/{names[2]}/use")
        assert answer.status_code == 503
        assert "damaged" in answer.json()["detail"]
        assert server.request("GET", "/models/").json()["in_use"] == in_use
    finally:
        weights.write_bytes(sound)


@pytest.mark.parametrize(
    ("role", "may_skip", "may_publish"), [("user", False, False), ("annotator", True, False), ("admin", True, True)]
)
def test_buttons_follow_the_role(
    guarded: RunningServer, browser: Browser, role: str, may_skip: bool, may_publish: bool
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{guarded.url}/dashboard/worklist")
    page.get_by_label("User name").fill(NAMES[role])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_title("Worklist · AMD-DAS")
    expect(page.get_by_role("link", name=NAMES[role])).to_be_visible()
    assert page.get_by_role("button", name="Skip right").is_enabled() is may_skip

    page.goto(f"{guarded.url}/dashboard/models")
    assert page.get_by_role("button", name="Publish").is_enabled() is may_publish
    assert page.get_by_role("button", name="Remove").is_enabled() is may_publish
    page.goto(f"{guarded.url}/dashboard/training")
    assert page.locator("form").first.get_by_role("button", name="Start").is_enabled() is may_publish
    told = page.get_by_text("this needs the role admin")
    assert told.is_visible() is not may_publish
    page.goto(f"{guarded.url}/dashboard/server")
    assert page.get_by_label("End of the server's log").is_visible() is may_publish

    context.clear_cookies()
    expect(page.locator("#lost")).to_contain_text("not signed in any more")
    context.close()


@pytest.mark.skipif(bool(missing()), reason=f"no Orthanc: {missing()}")
def test_series_of_a_pacs_have_names_and_pages_but_no_patients(
    request: pytest.FixtureRequest, orthanc: Orthanc, browser: Browser
) -> None:
    head = changed(head_series(), SeriesDescription="<b>Head</b> 5 mm")
    web(orthanc).store(head)
    server: RunningServer = request.getfixturevalue("pacs_server")  # starts before a PACS that holds the series
    page = browser.new_page(viewport=PHONE)  # type: ignore[arg-type]
    page.goto(f"{server.url}/dashboard/worklist")
    page.get_by_role("link", name="<b>Head</b> 5 mm, 2025-01-02").click()
    expect(page.get_by_role("heading", name="<b>Head</b> 5 mm")).to_be_visible()
    page.close()
    for path in PAGES:
        html = server.request("GET", f"/dashboard{path}").text
        assert "&lt;b&gt;Head" in html or path not in ("", "/worklist")
        assert [secret for secret in ("Doe", "PAT-4711", "<b>") if secret in html] == []


def test_a_pacs_that_is_down_is_told(tmp_path: Path, versions: tuple[Path, list[str]]) -> None:
    server = start_server(tmp_path, versions[0] / "model", studies="http://127.0.0.1:9/dicom-web").wait_until_ready()
    try:
        for path in ("", "/worklist", "/agreement"):
            answer = server.request("GET", f"/dashboard{path}")
            assert answer.status_code == 200
            assert "Scans cannot be listed" in answer.text and "127.0.0.1:9" in answer.text
    finally:
        server.close()
