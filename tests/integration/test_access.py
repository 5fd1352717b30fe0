"""Access control of the running server: its users, MONAI Label's own client, and what a start is refused for."""

import json
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from helpers.clients import client_of
from helpers.heads import write_head
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_server import APP_DIR, RunningServer, start_server

pytestmark = pytest.mark.integration

SECRETS = ("Doe", "PAT-4711", PASSWORD, "eyJ")
"""A patient's name and id, the password, and how every token begins."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[RunningServer]:
    """On loopback, with one user of each role."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "right.nii.gz", bleed_x=10)
    add_people(folder / "runs" / "accounts")
    running = start_server(folder, model_dir)
    yield running.wait_until_ready()
    running.close()


def log_in(server: RunningServer, role: str, password: str = PASSWORD) -> requests.Response:
    form = {"username": NAMES[role], "password": password, "grant_type": "password"}
    return server.request("POST", "/auth/token", data=form)


def bearer(server: RunningServer, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {log_in(server, role).json()['access_token']}"}


def audited(server: RunningServer) -> list[dict[str, Any]]:
    lines = (server.folder / "runs" / "accounts" / "audit.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def slicer_client(server: RunningServer, folder: Path, role: str) -> Any:
    """Logged in as the plugin does it."""
    client = client_of(server, folder)
    assert client.auth_enabled()
    client.update_auth(client.auth_token(NAMES[role], PASSWORD))
    assert client.auth_valid_token()
    return client


def test_it_says_that_it_asks_for_a_log_in(guarded: RunningServer) -> None:
    assert guarded.request("GET", "/auth/").json() == {"enabled": True, "client_id": "", "realm": ""}
    assert "by log-in" in guarded.log
    answer = guarded.request("GET", "/info/")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["error"] == "unauthorised"


def test_monai_labels_client_logs_in_segments_and_saves(guarded: RunningServer, tmp_path: Path) -> None:
    stranger = client_of(guarded, tmp_path)
    assert stranger.auth_enabled()
    assert not stranger.auth_valid_token()
    with pytest.raises(Exception, match="401"):
        stranger.info()
    with pytest.raises(Exception, match="401"):
        stranger.auth_token(NAMES["annotator"], "wrong horse staple")

    client = slicer_client(guarded, tmp_path, "annotator")
    assert "amd_das" in client.info()["models"]
    assert client.next_sample("first", {})["id"] == "right"
    file, result = client.infer("amd_das", "right", {"result_extension": ".nrrd", "result_dtype": "uint8"})
    assert result["volume_ml"] > 1
    client.save_label("right", file, params={"label_info": [{"name": "hemorrhage", "idx": 1}]})
    assert client.info()["datastore"]["completed"] == 1
    with pytest.raises(Exception, match="403"):
        client.train_start("fine_tune", {})


def test_each_role_ends_where_the_table_says(guarded: RunningServer) -> None:
    saved = {"id": "right", "tag": "final"}
    for role, removed, stopped in (("user", 403, 403), ("annotator", 403, 403), ("reviewer", 200, 403)):
        headers = bearer(guarded, role)
        assert guarded.request("GET", "/info/", headers=headers).status_code == 200
        assert guarded.infer(image="right", headers=headers).status_code == (403 if role == "user" else 200)
        assert guarded.request("DELETE", "/datastore/label", params=saved, headers=headers).status_code == removed
        assert guarded.request("DELETE", "/train/", headers=headers).status_code == stopped
        refused = guarded.request("POST", "/models/2026-01-01-00000000/use", headers=headers)
        assert refused.status_code == 403
        assert "needs the role admin" in refused.json()["detail"]
    headers = bearer(guarded, "admin")
    assert guarded.request("DELETE", "/train/", headers=headers).status_code not in (401, 403)
    assert guarded.request("POST", "/models/2026-01-01-00000000/use", headers=headers).status_code == 404


def test_a_users_end_ends_their_tokens_at_once(guarded: RunningServer, tmp_path: Path) -> None:
    store = guarded.folder / "runs" / "accounts"

    def users(*arguments: str, typed: str = "") -> str:
        command = [str(Path(sys.executable).parent / "amd-das"), "users", *arguments, "--folder", str(store)]
        done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def status(headers: dict[str, str]) -> int:
        return guarded.request("GET", "/info/", headers=headers).status_code

    users("add", "guest", "user", typed="first horse staple\n")
    form = {"username": "guest", "password": "first horse staple", "grant_type": "password"}
    headers = {"Authorization": f"Bearer {guarded.request('POST', '/auth/token', data=form).json()['access_token']}"}
    assert status(headers) == 200
    users("password", "guest", typed="second horse staple\n")
    assert status(headers) == 401
    form["password"] = "second horse staple"
    headers = {"Authorization": f"Bearer {guarded.request('POST', '/auth/token', data=form).json()['access_token']}"}
    assert status(headers) == 200
    assert "removed guest" in users("remove", "guest")
    assert status(headers) == 401


def test_a_token_that_ended_or_was_made_elsewhere_is_401(guarded: RunningServer) -> None:
    token = log_in(guarded, "admin").json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 8 * 3600
    key = (guarded.folder / "runs" / "accounts" / "token.key").read_bytes()
    ended = jwt.encode(claims | {"iat": claims["iat"] - 90_000, "exp": claims["iat"] - 1}, key, algorithm="HS256")
    foreign = jwt.encode(claims, b"k" * 32, algorithm="HS256")
    unsigned = jwt.encode(claims, None, algorithm="none")
    for bad, told in ((ended, "expired"), (foreign, "no token of this server"), (unsigned, "no token of this server")):
        answer = guarded.request("GET", "/info/", headers={"Authorization": f"Bearer {bad}"})
        assert answer.status_code == 401
        assert told in answer.json()["detail"]
        assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_guessing_gets_slow_for_who_guesses_and_nobody_else(guarded: RunningServer) -> None:
    answers = [log_in(guarded, "reviewer", f"wrong password {number}") for number in range(6)]
    assert [answer.status_code for answer in answers][:4] == [401] * 4
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert log_in(guarded, "reviewer").status_code == 429, "the right password tells itself while there is a wait"
    assert log_in(guarded, "user").status_code == 200
    time.sleep(int(answers[-1].headers["Retry-After"]) + 0.1)
    assert log_in(guarded, "reviewer").status_code == 200


def test_tokens_and_the_log_outlive_a_restart(guarded: RunningServer, tmp_path: Path, model_dir: Path) -> None:
    headers = bearer(guarded, "annotator")
    again = start_server(tmp_path, model_dir, AMD_DAS_ACCOUNTS_DIR=str(guarded.folder / "runs" / "accounts"))
    try:
        again.wait_until_ready()
        assert again.request("GET", "/info/", headers=headers).status_code == 200
    finally:
        again.close()


def test_the_audit_log_tells_what_happened_and_no_secret(guarded: RunningServer) -> None:
    token = log_in(guarded, "annotator").json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    version = guarded.infer(image="right", headers=headers).json()["model"]["version"]
    guarded.request("POST", "/train/", headers=headers)
    guarded.request("POST", "/auth/token", data={"username": PASSWORD, "password": "typed into the wrong field"})
    lines = audited(guarded)
    inferred = [line for line in lines if line["action"] == "infer" and line["outcome"] == "ok"][-1]
    assert (inferred["who"], inferred["case"], inferred["model_version"]) == (NAMES["annotator"], "right", version)
    refused = [line for line in lines if line["action"] == "train start"][-1]
    assert (refused["who"], refused["outcome"]) == (NAMES["annotator"], "refused")
    assert (lines[-1]["action"], lines[-1]["who"], lines[-1]["outcome"]) == ("log in", None, "unknown user")
    accounts = guarded.folder / "runs" / "accounts"
    texts = "".join(path.read_text() for path in accounts.glob("audit*")) + guarded.log
    assert not [secret for secret in SECRETS if secret in texts]
    assert {stat.S_IMODE(path.stat().st_mode) for path in accounts.iterdir()} == {0o600}
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o700


def launch(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Exit status and output of a start that should be refused."""
    command = [str(APP_DIR / "serve.py"), "--studies", str(folder / "studies"), "--port", "0", *arguments]
    running = RunningServer(folder, folder / "no-model", command, settings)
    try:
        return running.process.wait(60), running.log
    finally:
        running.close()


def test_beyond_loopback_it_does_not_start_without_users(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::"):
        status, output = launch(tmp_path, "--host", host)
        assert status == 2
        assert f"cannot start: {host} can be reached from other machines" in output
        assert "amd-das users add NAME admin" in output
        assert "--no-auth" in output
        assert "Traceback" not in output


@pytest.mark.parametrize(
    ("options", "people", "told"),
    [
        (["--uvicorn_app", "server:app"], False, "0.0.0.0 can be reached from other machines"),
        ([], False, "0.0.0.0 can be reached from other machines"),
        (["--host", "127.0.0.1"], True, "MONAI Label's own server does not ask who somebody is"),
    ],
)
def test_nor_by_monai_labels_launcher(tmp_path: Path, options: list[str], people: bool, told: str) -> None:
    if people:
        add_people(tmp_path / "runs" / "accounts")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["-m", "monailabel.main", "start_server", "--app", str(APP_DIR), "--studies", str(tmp_path / "studies")]
    command += [*options, "--port", port]
    running = RunningServer(tmp_path, tmp_path / "no-model", command, {"PYTHONPATH": str(APP_DIR)})
    try:
        assert running.process.wait(90) != 0
        assert told in running.log
    finally:
        running.close()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AMD_DAS_AUTH", "maybe", "AMD_DAS_AUTH"),
        ("AMD_DAS_REALM", "http://sso.example/realms/x", "use https"),
        ("AMD_DAS_REALM", "sso.example", "expected an address"),
        ("AMD_DAS_TOKEN_HOURS", "0", "AMD_DAS_TOKEN_HOURS is 0"),
        ("AMD_DAS_TLS_CERT", "/nowhere.pem", "AMD_DAS_TLS_KEY"),
    ],
)
def test_settings_that_cannot_be_meant_are_said(tmp_path: Path, name: str, value: str, told: str) -> None:
    status, output = launch(tmp_path, **{name: value})
    assert status == 2
    assert told in output
    assert "Traceback" not in output


def test_no_auth_opens_it_and_says_so(tmp_path: Path, model_dir: Path) -> None:
    add_people(tmp_path / "runs" / "accounts")
    running = start_server(tmp_path, model_dir, AMD_DAS_AUTH="off", AMD_DAS_HOST="0.0.0.0")
    try:
        running.wait_until_ready()
        assert running.request("GET", "/auth/").json()["enabled"] is False
        assert "everybody on the network may read all scans" in running.log
        assert "cross the network in clear" in running.log
    finally:
        running.close()
