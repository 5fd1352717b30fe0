"""Who is let in, how a browser is led to the log-in, and what the audit log tells."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from helpers.people import NAMES, PASSWORD

from amd_das.accounts import User, UserStore
from amd_das_app.access import current_user
from amd_das_app.access.control import AccessControl
from amd_das_app.access.middleware import COOKIE, Access

from .conftest import REACHED, Door, door_of

PAGE = {"Accept": "text/html,application/xhtml+xml"}


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_without_users_on_loopback_everything_is_as_ever(application: FastAPI, folder: Path) -> None:
    door = door_of(application, AccessControl(folder, realm=None, token_seconds=60))
    assert not door.control.enabled
    assert door.ask("DELETE", "/train/").text == REACHED
    assert not (folder / "token.key").exists()


def test_without_users_nobody_is_let_in_from_elsewhere(application: FastAPI, folder: Path) -> None:
    door = door_of(application, AccessControl(folder, realm=None, token_seconds=60))
    refused = door.ask("GET", "http://192.168.3.4:8000/info/")
    assert (refused.status_code, refused.json()["error"]) == (403, "no_users")
    assert "amd-das users add" in refused.json()["detail"]
    said_so = door_of(application, AccessControl(folder, realm=None, token_seconds=60, off=True))
    assert said_so.ask("GET", "http://192.168.3.4:8000/info/").text == REACHED


def test_the_first_user_ends_that_at_once_and_it_stays_so(
    application: FastAPI, folder: Path, request: pytest.FixtureRequest
) -> None:
    door = door_of(application, AccessControl(folder, realm=None, token_seconds=60))
    assert door.ask("GET", "/info/").text == REACHED
    store: UserStore = request.getfixturevalue("store")
    assert door.ask("GET", "/info/").status_code == 401
    token = door.token("user")
    assert door.ask("GET", "/info/", token=token).text == REACHED
    store.path.unlink()
    assert door.ask("GET", "/info/").status_code == 401
    assert door.ask("GET", "/info/", token=token).status_code == 401


def test_switched_off_means_everybody_though_there_are_users(
    application: FastAPI, folder: Path, store: UserStore
) -> None:
    door = door_of(application, AccessControl(folder, realm=None, token_seconds=60, off=True))
    assert door.ask("DELETE", "/train/").text == REACHED


@pytest.mark.parametrize("damage", ["content", "mode"])
def test_a_file_that_cannot_be_used_lets_nobody_in(application: FastAPI, store: UserStore, damage: str) -> None:
    door = door_of(application, AccessControl(store.path.parent, realm=None, token_seconds=60))
    if damage == "content":
        store.path.write_text("{")
    else:
        store.path.chmod(0o644)
    answer = door.ask("GET", "/info/")
    assert (answer.status_code, answer.json()["error"]) == (503, "access")
    assert str(store.path.parent) not in answer.text


@pytest.mark.parametrize("damage", ["content", "mode"])
def test_nor_does_one_that_is_damaged_later(door: Door, store: UserStore, damage: str) -> None:
    token = door.token("admin")
    assert door.ask("GET", "/info/", token=token).text == REACHED
    if damage == "content":
        store.path.write_text("{")
    else:
        content = store.path.read_bytes()
        store.path.unlink()
        store.path.write_bytes(content + b" ")
        store.path.chmod(0o644)
    assert door.ask("GET", "/info/", token=token).status_code == 503
    assert door.ask("GET", "/info/").status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "null", "é" * 10, "x" * 20_000])
def test_nonsense_is_no_token(door: Door, token: str) -> None:
    answer = door.ask("GET", "/info/", headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", ["Basic b25lLXVzZXI6cGFzc3dvcmQ=", "Bearer", "Digest x", ""])
def test_other_schemes_are_no_log_in(door: Door, header: str) -> None:
    assert door.ask("GET", "/info/", headers={"Authorization": header}).status_code == 401


def test_a_cookie_is_as_good_as_the_header(door: Door) -> None:
    token = door.token("user")
    assert door.ask("GET", "/info/", headers={"Cookie": f"{COOKIE}={token}; other=1"}).text == REACHED
    assert door.ask("GET", "/info/", headers={"Cookie": f"other={token}"}).status_code == 401
    assert door.ask("GET", "/info/", headers={"Authorization": f"bearer {token}"}).text == REACHED
    both = {"Cookie": f"{COOKIE}={token}", "Authorization": "Bearer wrong"}
    assert door.ask("GET", "/info/", headers=both).status_code == 401, "a wrong token is wrong"


def test_roles_count_as_they_are_now_and_tokens_end_with_password_and_user(door: Door, store: UserStore) -> None:
    token = door.token("annotator")
    assert door.ask("DELETE", "/train/", token=token).status_code == 403
    store.set_roles(NAMES["annotator"], ("admin",))
    assert door.ask("DELETE", "/train/", token=token).text == REACHED
    store.set_password(NAMES["annotator"], "battery wagon purple")
    assert door.ask("GET", "/info/", token=token).status_code == 401
    other = door.token("user")
    store.remove(NAMES["user"])
    assert door.ask("GET", "/info/", token=other).status_code == 401
    store.add(NAMES["user"], PASSWORD, ("user",))
    assert door.ask("GET", "/info/", token=other).status_code == 401, "the token of an earlier user of that name"


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/", "/login?next=%2F"),
        ("/series/1.2/3.4?a=b&c=%20d", "/login?next=%2Fseries%2F1.2%2F3.4%3Fa%3Db%26c%3D%2520d"),
        ("/dashboard/worklist", "/login?next=%2Fdashboard%2Fworklist"),
        ("/ohif/viewer?StudyInstanceUIDs=1.2", "/login?next=%2Fohif%2Fviewer%3FStudyInstanceUIDs%3D1.2"),
        ("/nowhere", "/login?next=%2Fnowhere"),
    ],
)
def test_a_browser_is_led_to_the_log_in(door: Door, asked: str, led_to: str) -> None:
    answer = door.ask("GET", asked, headers=PAGE)
    assert (answer.status_code, answer.headers["Location"]) == (303, led_to)
    navigating = door.ask("GET", asked, headers=PAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
    assert navigating.headers["Location"] == led_to


def test_scripts_and_writes_are_not_led_anywhere(door: Door) -> None:
    assert door.ask("GET", "/info/", headers=PAGE | {"Sec-Fetch-Mode": "cors"}).status_code == 401
    assert door.ask("POST", "/train/", headers=PAGE).status_code == 401


def test_the_viewers_files_load_before_and_its_page_after_the_log_in(door: Door) -> None:
    assert door.ask("GET", "/ohif/app.bundle.js", headers={"Accept": "*/*"}).text == REACHED
    assert door.ask("GET", "/ohif/app-config.js").text == REACHED
    cookie = {"Cookie": f"{COOKIE}={door.token('user')}"}
    assert door.ask("GET", "/ohif/viewer?StudyInstanceUIDs=1.2", headers=PAGE | cookie).text == REACHED
    assert door.ask("GET", "/proxy/dicom/qido/studies").status_code == 401
    assert door.ask("GET", "/proxy/dicom/qido/studies", headers=cookie).text == REACHED


def test_a_link_elsewhere_is_followed_once_more_from_here(door: Door) -> None:
    """A browser holds a SameSite=Strict cookie back then."""
    elsewhere = PAGE | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}
    answer = door.ask("GET", "/series/1.2/3.4?x=%22%3E%3Cb%3E", headers=elsewhere)
    assert answer.status_code == 200
    assert 'content="0; url=/series/1.2/3.4?x=%22%3E%3Cb%3E"' in answer.text
    assert "Research use only" in answer.text


def test_a_browser_gets_a_page_for_what_is_not_allowed(door: Door) -> None:
    answer = door.ask("GET", "/logs/", headers=PAGE | {"Cookie": f"{COOKIE}={door.token('user')}"})
    assert answer.status_code == 403
    assert "one-user may not do this: it needs the role admin" in answer.text
    assert answer.text.startswith("<!doctype html>")
    assert '<a href="/login">Account (one-user)</a>' in answer.text


def test_sockets_are_closed(door: Door, application: FastAPI) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "app": application}
    asyncio.run(Access(door.app, door.control)(scope, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_endpoints_learn_who_asks(application: FastAPI, door: Door) -> None:
    seen: list[User | None] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request
        from starlette.responses import Response

        seen.append(current_user(Request(scope)))
        await Response()(scope, receive, send)

    access = Access(inner, door.control)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await access(scope | {"app": application}, receive, send)

    Door(app, door.control).ask("GET", "/info/", token=door.token("reviewer"))
    Door(app, door.control).ask("GET", "/auth/")
    assert seen == [User(name="one-reviewer", roles=("reviewer",)), None]


def test_the_audit_log_tells_who_did_what_with_which_case_and_model(door: Door, folder: Path) -> None:
    anna, chef = door.token("annotator"), door.token("admin")
    series = "1.2.826.0.1.3680043.8.498.1234567890"
    door.ask("POST", "/infer/amd_das?image=case_1&output=json", token=anna)
    door.ask("POST", f"/infer/amd_das?image={series}", token=anna)
    door.ask("PUT", "/datastore/label?image=case_1&tag=final", token=anna)
    door.ask("DELETE", "/datastore/label?id=case_1&tag=final", token=anna)
    door.ask("POST", "/train/fine_tune", token=chef)
    door.ask("DELETE", "/models/2026-11-21-aa", token=chef)
    door.ask("GET", "/info/", token=anna)
    door.ask("DELETE", "/train/")
    told = [line for line in lines(folder) if line["action"] != "log in"]
    assert [(one["who"], one["action"], one["outcome"]) for one in told] == [
        ("one-annotator", "infer", "ok"),
        ("one-annotator", "infer", "ok"),
        ("one-annotator", "label save", "ok"),
        ("one-annotator", "label remove", "refused"),
        ("one-admin", "train start", "ok"),
        ("one-admin", "model remove", "ok"),
    ]
    assert (told[0]["case"], told[0]["model_version"]) == ("case_1", "7")
    assert told[1]["case"]
    assert series not in json.dumps(told)
    assert told[2]["tag"] == "final"
    assert told[4]["model"] == "fine_tune"
    assert told[5]["model_version"] == "2026-11-21-aa"
    assert all(secret not in (folder / "audit.jsonl").read_text() for secret in (anna, chef, PASSWORD))
