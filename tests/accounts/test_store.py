"""The file of users: private, whole, changed by one at a time, and read again when it changes."""

import json
import os
import threading
from pathlib import Path

import pytest

from amd_das.accounts import User, UserStore, accounts_folder
from amd_das.errors import ConfigError, NotFoundError

GOOD, OTHER = "correct horse staple", "battery wagon purple"


@pytest.fixture
def store(tmp_path: Path) -> UserStore:
    return UserStore(tmp_path / "accounts")


def test_a_user_is_added_and_logs_in(store: UserStore) -> None:
    assert store.accounts() == {}
    assert store.log_in("anna", GOOD) is None
    store.add("anna", GOOD, ("reviewer", "annotator"))
    found = store.log_in("anna", GOOD)
    assert found is not None
    assert found[0] == User(name="anna", roles=("annotator", "reviewer"))
    assert found == store.find("anna")
    assert store.log_in("anna", OTHER) is None
    assert store.log_in("berta", GOOD) is None


def test_the_file_is_private_and_holds_no_password(store: UserStore) -> None:
    before = os.umask(0)
    try:
        store.add("anna", GOOD, ("user",))
    finally:
        os.umask(before)
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in store.path.parent.iterdir())
    assert GOOD not in store.path.read_text()
    assert not list(store.path.parent.glob("*.part"))


def test_another_process_sees_changes_at_once(store: UserStore, tmp_path: Path) -> None:
    server = UserStore(tmp_path / "accounts")
    store.add("anna", GOOD, ("user",))
    store.add("chef", GOOD, ("admin",))
    assert server.log_in("anna", GOOD)
    serial = server.accounts()["anna"].serial
    store.set_roles("anna", ("reviewer",))
    assert server.accounts()["anna"].roles == ("reviewer",)
    assert server.accounts()["anna"].serial == serial
    store.set_password("anna", OTHER)
    assert server.accounts()["anna"].serial != serial, "old tokens would go on"
    assert server.log_in("anna", GOOD) is None
    assert server.log_in("anna", OTHER)
    store.remove("anna")
    assert server.find("anna") is None
    store.add("anna", GOOD, ("user",))
    assert server.accounts()["anna"].serial != serial, "tokens of an earlier anna would go on"


def test_the_last_admin_stays_while_there_are_others(store: UserStore) -> None:
    store.add("chef", GOOD, ("admin",))
    store.add("anna", GOOD, ("user",))
    for forbidden in (lambda: store.remove("chef"), lambda: store.set_roles("chef", ("user",))):
        with pytest.raises(ConfigError, match="last admin"):
            forbidden()
    assert store.accounts()["chef"].roles == ("admin",)
    store.remove("anna")
    store.remove("chef")
    assert store.accounts() == {}


@pytest.mark.parametrize("name", ["", "Anna", "a b", "../x", "a" * 65, "-a", "anna\n", "ännä"])
def test_names_that_could_be_mistaken_are_refused(store: UserStore, name: str) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 64"):
        store.add(name, GOOD, ("user",))
    assert not store.path.exists()


def test_mistakes_are_said(store: UserStore) -> None:
    store.add("anna", GOOD, ("user",))
    with pytest.raises(ConfigError, match="'anna' exists"):
        store.add("anna", OTHER, ("user",))
    with pytest.raises(ConfigError, match="expected 12 or more"):
        store.set_password("anna", "short")
    for missing in (
        lambda: store.remove("otto"),
        lambda: store.set_password("otto", GOOD),
        lambda: store.set_roles("otto", ("user",)),
        lambda: store.require("otto"),
    ):
        with pytest.raises(NotFoundError, match="no user 'otto'"):
            missing()
    assert store.log_in("anna", GOOD)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2, "users": {}}',
        '{"format": 1, "users": []}',
        '{"format": 1, "users": {"anna": {}}}',
        '{"format": 1, "users": {"anna": {"roles": ["king"], "password": "x", "serial": "", "created": "", '
        '"changed": ""}}}',
    ],
)
def test_a_damaged_file_is_no_empty_one(store: UserStore, content: str) -> None:
    store.path.parent.mkdir()
    store.path.write_text(content)
    store.path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"users\.json|role"):
        store.accounts()
    with pytest.raises(ConfigError):
        store.add("otto", GOOD, ("user",))
    assert store.path.read_text() == content


def test_a_file_that_others_can_read_is_refused(store: UserStore) -> None:
    store.add("anna", GOOD, ("user",))
    store.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        UserStore(store.path.parent).accounts()


def test_many_at_once_lose_nothing(store: UserStore) -> None:
    names = [f"user{number}" for number in range(6)]
    threads = [
        threading.Thread(target=UserStore(store.path.parent).add, args=(name, GOOD, ("user",))) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(store.path.read_text())["users"]) == names


def test_the_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMD_DAS_ACCOUNTS_DIR", raising=False)
    monkeypatch.delenv("AMD_DAS_RUNS_DIR", raising=False)
    assert accounts_folder().parts[-2:] == ("runs", "accounts")
    monkeypatch.setenv("AMD_DAS_RUNS_DIR", str(tmp_path))
    assert accounts_folder() == tmp_path / "accounts"
    monkeypatch.setenv("AMD_DAS_ACCOUNTS_DIR", str(tmp_path / "elsewhere"))
    assert accounts_folder() == tmp_path / "elsewhere"
