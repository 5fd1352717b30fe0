"""``amd-das users``: the password comes from stdin or the terminal, never from the command line."""

import getpass
import io
import json
import sys
from pathlib import Path

import pytest

from amd_das import cli
from amd_das.accounts import UserStore
from amd_das.accounts.console import ask_password
from amd_das.errors import ConfigError

GOOD, OTHER = "correct horse staple", "battery wagon purple"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMD_DAS_ACCOUNTS_DIR", str(tmp_path / "accounts"))
    return tmp_path / "accounts"


def users(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    return cli.main(["users", *arguments])


def test_from_nobody_to_an_admin_and_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert users(monkeypatch) == 0
    assert "no users in" in capsys.readouterr().out
    assert users(monkeypatch, "add", "anna", "annotator", stdin=f"{GOOD}\n") == 0
    assert "nobody is admin yet" in capsys.readouterr().out
    assert users(monkeypatch, "add", "chef", "admin", "reviewer", stdin=GOOD) == 0
    assert "nobody is admin" not in capsys.readouterr().out
    assert users(monkeypatch, "roles", "anna", "reviewer") == 0
    assert users(monkeypatch, "password", "anna", stdin=OTHER) == 0
    store = UserStore(folder)
    assert store.log_in("anna", OTHER)
    assert store.accounts()["anna"].roles == ("reviewer",)
    capsys.readouterr()
    assert users(monkeypatch, "list") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in listed] == ["anna", "chef"]
    assert "reviewer, admin" in listed[1]
    assert users(monkeypatch, "remove", "anna") == 0
    assert users(monkeypatch, "remove", "chef") == 0
    assert "nobody is left" in capsys.readouterr().out
    log = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in log] == [
        f"user {action}" for action in ("add", "add", "roles", "password", "remove", "remove")
    ]
    assert all(line["who"].startswith("shell:") for line in log)
    assert GOOD not in (folder / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["add"], GOOD, "add needs a user's name"),
        (["add", "anna"], GOOD, "no role came"),
        (["add", "anna", "king"], GOOD, "unknown role 'king'"),
        (["add", "Anna", "user"], GOOD, "expected 1 to 64"),
        (["add", "anna", "user"], "", "no password came"),
        (["add", "anna", "user"], "short", "expected 12 or more"),
        (["roles", "otto", "user"], "", "no user 'otto'"),
        (["roles", "otto"], "", "no role came"),
        (["password", "otto"], GOOD, "no user 'otto'"),
        (["remove", "otto"], "", "no user 'otto'"),
        (["remove", "otto", "user"], "", "a name and nothing else"),
        (["list", "otto"], "", "takes no name"),
    ],
)
def test_mistakes_are_said_and_change_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    stdin: str,
    said: str,
) -> None:
    assert users(monkeypatch, *arguments, stdin=stdin) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "users.json").exists()
    assert not (folder / "audit.jsonl").exists()


def test_a_password_is_no_argument(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert users(monkeypatch, "password", "anna", GOOD) == 2
    said = capsys.readouterr().err
    assert "a name and nothing else" in said
    assert GOOD not in said


def test_at_a_terminal_it_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    answers = iter([GOOD, GOOD, GOOD, OTHER, "short"])
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(answers))
    assert ask_password("anna") == GOOD
    with pytest.raises(ConfigError, match="differ"):
        ask_password("anna")
    with pytest.raises(ConfigError, match="expected 12 or more"):
        ask_password("anna")
