"""Every endpoint is in the table, and every role gets exactly what the table says."""

import re

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from amd_das.accounts import ROLES
from amd_das_app.access import OPEN, TABLE
from amd_das_app.access.control import AccessControl
from amd_das_app.access.matching import RuleFinder, endpoints
from amd_das_app.access.table import UNKNOWN, UNLISTED

from .conftest import REACHED, Door, door_of


def path_of(endpoint: str) -> str:
    """An address that reaches the endpoint."""
    path = endpoint.partition(" ")[2]
    path = path.replace("/dashboard/{name}", "/dashboard/worklist")
    return re.sub(r"{\w+:path}", "studies/1.2", re.sub(r"{\w+}", "1.2.3", path))


def test_the_table_is_what_the_server_answers_to(application: FastAPI) -> None:
    found = endpoints(application)
    assert len(found) > 70
    assert [name for name in found if name not in TABLE] == [], "not in the table: who may ask for it?"
    assert [name for name in TABLE if name not in found] == [], "in the table, but the server has no such endpoint"


def test_only_what_holds_no_data_is_open() -> None:
    opened = {name for name, rule in TABLE.items() if rule.role == OPEN}
    assert opened == {
        "GET /auth/",
        "GET /favicon.ico",
        "GET /login",
        "GET /ohif/app-config.js",
        "GET /ohif/{path:path}",
        "GET /pages/{name}",
        "POST /auth/token",
        "POST /login",
        "POST /logout",
    }


def test_nothing_that_changes_something_is_for_mere_users() -> None:
    writes = {name: rule for name, rule in TABLE.items() if not name.startswith(("GET", "HEAD")) and rule.role != OPEN}
    assert {name for name, rule in writes.items() if rule.role == "user"} == set()
    silent = {name for name, rule in writes.items() if not rule.action}
    assert silent == {"POST /activelearning/{strategy}", "DELETE /session/{session_id}"}, "not in the audit log"
    admins = {name for name, rule in writes.items() if rule.role == "admin"}
    assert {"POST /train/", "POST /train/{model}", "DELETE /train/", "PUT /model/{model}"} <= admins
    assert {"POST /models/{version}/use", "DELETE /models/{version}", "DELETE /datastore/image"} <= admins


@pytest.fixture(scope="module")
def walked(application: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Door, str]]:
    """Role, or nobody → a door and a token."""
    from helpers.people import add_people

    folder = tmp_path_factory.mktemp("accounts")
    add_people(folder)
    door = door_of(application, AccessControl(folder, realm=None, token_seconds=600))
    assert door.control.enabled
    return {"nobody": (door, ""), **{role: (door, door.token(role)) for role in ROLES}}


@pytest.mark.parametrize("role", ["nobody", *ROLES])
@pytest.mark.parametrize("endpoint", sorted(TABLE))
def test_every_role_at_every_endpoint(walked: dict[str, tuple[Door, str]], endpoint: str, role: str) -> None:
    door, token = walked[role]
    least = TABLE[endpoint].role
    answer = door.ask(endpoint.split()[0], path_of(endpoint), token=token)
    if least == OPEN or (role != "nobody" and ROLES.index(role) >= ROLES.index(least)):
        assert (answer.status_code, answer.text) == (299, "" if endpoint.startswith("HEAD") else REACHED)
    elif role == "nobody":
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="AMD-DAS"'
        if not endpoint.startswith("HEAD"):
            assert answer.json()["error"] == "unauthorised"
    else:
        assert answer.status_code == 403
        if not endpoint.startswith("HEAD"):
            assert f"needs the role {least}" in answer.json()["detail"]


def test_each_address_finds_its_own_rule(application: FastAPI) -> None:
    finder = RuleFinder()
    for endpoint, rule in TABLE.items():
        scope = {"type": "http", "method": endpoint.split()[0], "path": path_of(endpoint), "app": application}
        assert finder.find(scope | {"headers": []})[0] is rule, endpoint


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("PATCH", "/info/"), ("OPTIONS", "/info/"), ("GET", "//info/"), ("GET", "/info/../train/")],
)
def test_what_is_not_there_is_told_to_users_only(
    walked: dict[str, tuple[Door, str]], application: FastAPI, method: str, path: str
) -> None:
    scope = {"type": "http", "method": method, "path": path, "headers": [], "app": application}
    assert RuleFinder().find(scope)[0] is UNKNOWN
    door, _ = walked["nobody"]
    assert door.ask(method, path).status_code == 401


def test_a_forgotten_endpoint_is_for_admins(folder: object, walked: dict[str, tuple[Door, str]]) -> None:
    app = FastAPI()
    inner = APIRouter()
    inner.add_api_route("/forgotten", lambda: 1, methods=["POST"])
    outer = APIRouter()
    outer.include_router(inner, prefix="/deep")
    app.include_router(outer)
    assert "POST /deep/forgotten" in endpoints(app)
    scope = {"type": "http", "method": "POST", "path": "/deep/forgotten", "headers": [], "app": app}
    assert RuleFinder().find(scope)[0] is UNLISTED
    control = walked["admin"][0].control
    door = door_of(app, control)

    def status(role: str) -> int:
        answer: httpx.Response = door.ask("POST", "/deep/forgotten", token=walked[role][1])
        return answer.status_code

    assert [status(role) for role in ("nobody", *ROLES)] == [401, 403, 403, 403, 299]
