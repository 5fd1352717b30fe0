"""Logging in and out, by the protocol of MONAI Label's clients and by the page for browsers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_realm import RunningRealm

from amd_das_app.access.control import AccessControl
from amd_das_app.access.login_page import safe_next
from amd_das_app.access.middleware import COOKIE, Access
from amd_das_app.access.realm import RealmConfig
from amd_das_app.access.routes import access_router
from amd_das_app.errors import install_error_handlers
from amd_das_app.guard import Guard
from amd_das_app.settings import ServerSettings

from .conftest import HOME

ANNA = NAMES["annotator"]


class Site:
    """The access control and its own endpoints, asked as by one browser."""

    def __init__(self, control: AccessControl) -> None:
        app = FastAPI()
        install_error_handlers(app)
        app.add_middleware(Access, control=control)
        app.add_middleware(Guard, settings=ServerSettings())
        app.include_router(access_router(control))
        self.app = app
        self.control = control
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=HOME, cookies=self.cookies) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(send())

    def log_in(self, name: str = ANNA, password: str = PASSWORD, **more: str) -> httpx.Response:
        return self.ask("POST", "/login", data={"username": name, "password": password, **more})

    def token(self, **form: str) -> httpx.Response:
        return self.ask("POST", "/auth/token", data=form)


@pytest.fixture
def site(folder: Path, store: object) -> Site:
    return Site(AccessControl(folder, realm=None, token_seconds=600))


@pytest.fixture
def open_site(folder: Path) -> Site:
    return Site(AccessControl(folder, realm=None, token_seconds=600))


@pytest.fixture
def realm() -> Iterator[RunningRealm]:
    running = RunningRealm()
    running.people["anna"] = (PASSWORD, ["amd-das-annotator"])
    yield running
    running.close()


def test_clients_learn_that_a_token_is_needed_get_one_and_use_it(site: Site) -> None:
    assert site.ask("GET", "/auth/").json() == {"enabled": True, "client_id": "", "realm": ""}
    answer = site.token(username=ANNA, password=PASSWORD, grant_type="password")
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 600)
    header = {"Authorization": f"{token['token_type']} {token['access_token']}"}
    valid = site.ask("GET", "/auth/token/valid", headers=header)
    assert valid.json() == {"username": ANNA, "email": None, "name": ANNA, "roles": ["annotator"]}
    assert site.ask("GET", "/auth/token/valid").status_code == 401
    assert COOKIE not in site.cookies, "a token for a program is no log-in of the browser"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 401),
        ({"username": ANNA}, 401),
        ({"username": ANNA, "password": "wrong password"}, 401),
        ({"username": ANNA.upper(), "password": PASSWORD}, 401),
        ({"username": "nobody", "password": PASSWORD}, 401),
        ({"username": ANNA, "password": PASSWORD, "grant_type": "refresh_token"}, 400),
        ({"username": "x" * 100_000, "password": "y" * 100_000}, 401),
    ],
)
def test_others_get_none(site: Site, form: dict[str, str], status: int) -> None:
    answer = site.token(**form)
    assert answer.status_code == status
    assert "access_token" not in answer.json()
    assert PASSWORD not in answer.text


def test_known_and_unknown_names_are_answered_alike(site: Site) -> None:
    known = site.token(username=ANNA, password="wrong password")
    unknown = site.token(username="nobody", password="wrong password")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert dict(known.headers) == dict(unknown.headers)


def test_after_some_wrong_ones_there_is_a_wait(site: Site) -> None:
    answers = [site.token(username=ANNA, password="wrong password") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429]
    assert answers[-1].headers["Retry-After"] == "1"
    shown = site.log_in()
    assert shown.status_code == 429
    assert "Too many wrong passwords; try again in" in shown.text
    assert site.log_in(NAMES["user"]).status_code == 303


def test_without_users_no_token_is_needed(open_site: Site) -> None:
    assert open_site.ask("GET", "/auth/").json()["enabled"] is False
    assert open_site.token(username="x", password="y").json() == {"access_token": None, "token_type": None}
    assert open_site.ask("GET", "/auth/token/valid").json()["roles"] == ["user", "annotator", "reviewer", "admin"]
    assert "nothing to log in to" in open_site.ask("GET", "/login").text
    assert open_site.log_in().headers["Location"] == "/login"


def test_the_page_is_a_plain_form_that_runs_nothing(site: Site) -> None:
    answer = site.ask("GET", "/login?next=/dashboard/worklist%3Fa%3Db")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "same-origin", "a browser would send Origin: null"
    assert "<script" not in answer.text
    assert "Research use only" in answer.text
    assert 'name="next" value="/dashboard/worklist?a=b"' in answer.text
    assert "no-store" in answer.headers["Cache-Control"]


def test_logging_in_sets_a_cookie_and_leads_back(site: Site) -> None:
    answer = site.log_in(next="/series/1.2/3.4?x=%20y")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/series/1.2/3.4?x=%20y")
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Max-Age=600", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie
    assert site.ask("GET", "/auth/token/valid").json()["username"] == ANNA
    account = site.ask("GET", "/login")
    assert f"<strong>{ANNA}</strong>" in account.text
    assert "annotator" in account.text
    out = site.ask("POST", "/logout")
    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert COOKIE not in site.cookies
    assert site.ask("GET", "/auth/token/valid").status_code == 401


def test_over_https_the_cookie_is_for_https_only(site: Site) -> None:
    answer = site.ask("POST", "https://127.0.0.1/login", data={"username": ANNA, "password": PASSWORD})
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_name_typed_with_a_capital_is_the_same_on_the_page(site: Site) -> None:
    assert site.log_in(f" {ANNA.title()} ").status_code == 303


def test_wrong_passwords_are_said_on_the_page(site: Site) -> None:
    answer = site.log_in(password="wrong password", next="/dashboard")
    assert answer.status_code == 401
    assert "Wrong user name or password." in answer.text
    assert 'value="/dashboard"' in answer.text
    assert "wrong password" not in answer.text.replace("Wrong user name or password", "")
    assert "Set-Cookie" not in answer.headers


def test_a_foreign_page_cannot_log_somebody_in_or_out(site: Site) -> None:
    foreign = {"Origin": "https://evil.example"}
    form = {"username": ANNA, "password": PASSWORD}
    assert site.ask("POST", "/login", data=form, headers=foreign).status_code == 403
    assert site.ask("POST", "/login", data=form, headers={"Origin": "null"}).status_code == 403
    assert site.ask("POST", "/login", data=form, headers={"Origin": HOME}).status_code == 303
    assert site.ask("POST", "/logout", headers=foreign).status_code == 403
    assert COOKIE in site.cookies


@pytest.mark.parametrize(
    "address", ["/", "/dashboard", "/series/1.2/3.4?a=b&c=%2F", "/ohif/viewer?StudyInstanceUIDs=1"]
)
def test_addresses_here_are_gone_back_to(address: str) -> None:
    assert safe_next(address) == address


HOSTILE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\n//evil.example",
    "javascript:alert(1)",
    "evil.example",
    "",
    "/login?next=/login",
    "/logout",
    "/" + "a" * 3000,
    "/ü",
    "/a\r\nSet-Cookie: x=y",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_others_are_not(site: Site, address: str) -> None:
    assert safe_next(address) == "/"
    assert 'name="next" value="/"' in site.ask("GET", f"/login?next={quote(address, safe='')}").text
    assert site.log_in(next=address).headers["Location"] == "/"


def test_a_page_cannot_be_written_through_the_address(site: Site) -> None:
    page = site.ask("GET", "/login?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script" not in page


def test_the_log_tells_who_tried_but_not_what_was_typed(site: Site, folder: Path) -> None:
    site.log_in()
    site.log_in(password="wrong password")
    site.log_in(name="my secret password", password="x")
    site.log_in()
    site.ask("POST", "/logout")
    text = (folder / "audit.jsonl").read_text()
    told = [(line["who"], line["action"], line["outcome"]) for line in map(json.loads, text.splitlines())]
    assert told == [
        (ANNA, "log in", "ok"),
        (ANNA, "log in", "wrong password"),
        (None, "log in", "unknown user"),
        (ANNA, "log in", "ok"),
        (ANNA, "log out", "ok"),
    ]
    assert not any(secret in text for secret in ("my secret password", PASSWORD, "eyJ"))


def test_a_realm_is_named_and_its_people_log_in_both_ways(folder: Path, realm: RunningRealm) -> None:
    site = Site(AccessControl(folder, realm=RealmConfig(issuer=realm.issuer), token_seconds=600))
    assert site.ask("GET", "/auth/").json() == {"enabled": True, "client_id": "amd-das", "realm": realm.issuer}
    token = site.token(username="anna", password=PASSWORD).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    assert site.ask("GET", "/auth/token/valid", headers=header).json()["roles"] == ["annotator"]
    direct = {"Authorization": f"Bearer {realm.token('anna', ['amd-das-admin'])}"}
    assert site.ask("GET", "/auth/token/valid", headers=direct).json()["roles"] == ["admin"]
    nobody = {"Authorization": f"Bearer {realm.token('anna', [])}"}
    refused = site.ask("GET", "/auth/token/valid", headers=nobody)
    assert refused.status_code == 403
    assert "the roles given are: none that this server knows" in refused.json()["detail"]
    assert site.log_in("anna", "wrong password").status_code == 401
    assert site.log_in("anna").status_code == 303
    assert "Max-Age=" in site.log_in("anna").headers["Set-Cookie"]


def test_a_realm_that_is_down_is_said(folder: Path, realm: RunningRealm) -> None:
    site = Site(AccessControl(folder, realm=RealmConfig(issuer=realm.issuer), token_seconds=600))
    token = realm.token("anna", ["amd-das-admin"])
    realm.close()
    for answer in (
        site.token(username="anna", password=PASSWORD),
        site.ask("GET", "/auth/token/valid", headers={"Authorization": f"Bearer {token}"}),
        site.log_in("anna"),
    ):
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    assert site.ask("GET", "/login").status_code == 200


def test_users_of_the_file_are_no_users_of_the_realm(folder: Path, realm: RunningRealm) -> None:
    add_people(folder)
    local = Site(AccessControl(folder, realm=None, token_seconds=600))
    token = local.token(username=ANNA, password=PASSWORD).json()["access_token"]
    site = Site(AccessControl(folder, realm=RealmConfig(issuer=realm.issuer), token_seconds=600))
    assert site.token(username=ANNA, password=PASSWORD).status_code == 401
    header = {"Authorization": f"Bearer {token}"}
    assert site.ask("GET", "/auth/token/valid", headers=header).status_code == 401
