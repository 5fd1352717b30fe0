"""Logging in and out in a real browser, and how the pages lead there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.heads import write_head
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_server import RunningServer, start_server
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; apt-get install chromium"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "right.nii.gz", bleed_x=10)
    add_people(folder / "runs" / "accounts")
    running = start_server(folder, model_dir)
    yield running.wait_until_ready()
    running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Without scripts: nothing here may need one."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def log_in(page: Page, role: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(NAMES[role])
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_the_way_in_and_out(guarded: RunningServer, page: Page, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{guarded.url}/dashboard/worklist")
    assert page.url == f"{guarded.url}/login?next=%2Fdashboard%2Fworklist"
    assert page.get_by_text("Research use only").is_visible()
    folder = Path(os.environ.get("AMD_DAS_TEST_PICTURES", tmp_path))
    page.screenshot(path=folder / "login.png")
    log_in(page, "annotator", "wrong horse staple")
    assert page.get_by_role("alert").inner_text() == "Wrong user name or password."
    page.screenshot(path=folder / "wrong.png")
    assert page.context.cookies() == []
    log_in(page, "annotator")
    assert page.url == f"{guarded.url}/dashboard/worklist"
    assert NAMES["annotator"] in page.locator("body").inner_text()
    page.screenshot(path=folder / "worklist.png")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")

    for place in ("/", "/docs", "/dashboard", "/models/", "/worklist/"):
        answer = page.goto(guarded.url + place)
        assert answer is not None
        assert (answer.status, page.url) == (200, guarded.url + place)
    refused = page.goto(f"{guarded.url}/logs/")
    assert refused is not None
    assert refused.status == 403
    assert "needs the role admin" in page.locator("body").inner_text()

    page.goto(f"{guarded.url}/login")
    assert f"logged in as {NAMES['annotator']}" in page.locator("body").inner_text()
    page.screenshot(path=folder / "account.png")
    page.get_by_role("button", name="Log out").click()
    assert page.url == f"{guarded.url}/login"
    assert page.context.cookies() == []
    page.goto(f"{guarded.url}/dashboard")
    assert page.url.startswith(f"{guarded.url}/login?next=")
    assert all(url.startswith(guarded.url) for url in asked), asked


@pytest.mark.parametrize(
    "elsewhere", ["//example.org/", "https://example.org/", "/\\example.org", "javascript:alert(1)"]
)
def test_a_log_in_leads_nowhere_else(guarded: RunningServer, page: Page, elsewhere: str) -> None:
    page.goto(f"{guarded.url}/login?next={elsewhere}")
    log_in(page, "user")
    assert page.url == f"{guarded.url}/"


def test_a_form_elsewhere_cannot_act_for_who_is_logged_in(guarded: RunningServer, page: Page) -> None:
    page.goto(f"{guarded.url}/login")
    log_in(page, "admin")
    assert page.url == f"{guarded.url}/"
    foreign = "http://elsewhere.test/"
    form = f'<form method="post" action="{guarded.url}/logout"><button>go</button></form>'
    page.route(foreign, lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto(foreign)
    with page.expect_response(f"{guarded.url}/logout") as caught:
        page.get_by_role("button", name="go").click()
    assert caught.value.status == 403
    assert page.context.cookies(guarded.url) != []


def test_the_log_in_page_runs_no_script_and_sends_its_form_here_alone(guarded: RunningServer) -> None:
    answer = guarded.request("GET", "/login", headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "<script" not in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
