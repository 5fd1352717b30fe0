"""The audit log: a JSON object a line, private, bounded, and whole when several write."""

import json
import threading
from pathlib import Path

import pytest

from amd_das.accounts import AuditLog


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_who_what_which_case_which_model_and_when(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "accounts")
    log.write("infer", who="anna", outcome="ok", case="case_1", model_version="7", status=200)
    log.write("log in", who=None, outcome="wrong password")
    first, second = lines(log.path)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "who": "anna",
        "action": "infer",
        "case": "case_1",
        "model_version": "7",
        "outcome": "ok",
        "status": 200,
    }
    assert second["who"] is None
    assert "case" not in second
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_value_can_neither_forge_a_line_nor_fill_the_disk(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.write("infer", who="anna", outcome="ok", case='x"}\n{"who": "chef' + "y" * 1000 + "\u2028")
    (only,) = lines(log.path)
    assert only["who"] == "anna"
    assert len(only["case"]) == 201


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, max_bytes=1000, kept=2)
    for number in range(100):
        log.write("infer", who="anna", outcome="ok", case=f"case_{number}")
    files = sorted(tmp_path.glob("audit.jsonl*"))
    assert [path.name for path in files] == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(path.stat().st_size <= 1000 for path in files)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    cases = [line["case"] for path in reversed(files) for line in lines(path)]
    assert cases == [f"case_{number}" for number in range(100 - len(cases), 100)]


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    def work(who: str) -> None:
        log = AuditLog(tmp_path, max_bytes=5000, kept=50)
        for _ in range(50):
            log.write("infer", who=who, outcome="ok")

    threads = [threading.Thread(target=work, args=(f"u{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [line["who"] for path in tmp_path.glob("audit.jsonl*") for line in lines(path)]
    assert {who: found.count(who) for who in set(found)} == {f"u{number}": 50 for number in range(4)}


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    AuditLog(tmp_path).write("infer", who="anna", outcome="ok")
    assert "audit log cannot be written" in caplog.text
