"""The record of losses."""

from pathlib import Path

from amd_das.training import history


def test_entries_after_a_step_and_half_lines_are_cut(tmp_path: Path) -> None:
    for step in (3, 6, 9):
        history.append(tmp_path, {"step": step, "losses": {"loss": step / 10}})
    with (tmp_path / history.NAME).open("a") as file:
        file.write('{"step": 12, "los')
    assert [entry["step"] for entry in history.read(tmp_path)] == [3, 6, 9]
    history.cut(tmp_path, 6)
    assert history.read(tmp_path) == [{"step": 3, "losses": {"loss": 0.3}}, {"step": 6, "losses": {"loss": 0.6}}]


def test_there_may_be_no_history_yet(tmp_path: Path) -> None:
    assert history.read(tmp_path) == []
