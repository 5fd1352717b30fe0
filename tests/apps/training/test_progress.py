"""Progress in a sentence and as clients read it."""

from pathlib import Path

import pytest

from amd_das_app.training.progress import NEVER_TRAINED, read_json, sentence, train_stats

PROGRESS = {
    "step": "synthesis", "number": 4, "count": 7, "done": 1200, "total": 5000, "overall": 0.3456,
    "losses": {"cycle": 0.123456}, "seconds_left": 3725.5, "message": "batch halved",
    "preset": "smoke", "version": None,
}  # fmt: skip


def shown_in_ohif(stats: dict[str, object]) -> int:
    """Per cent of the bar, as OHIF reckons it (3D Slicer does the same, and shows 1 at least)."""
    epoch = 0 if stats.get("total_time") else stats.get("epoch") or 1
    return round(100 * epoch / (stats.get("total_epochs") or 1))  # type: ignore[operator]


def test_the_sentence_says_stage_count_percent_losses_and_time() -> None:
    assert sentence(PROGRESS) == (
        "35 %; step 4 of 7, synthesis: 1200 of 5000; cycle 0.123; 1:02:05 left in this step; batch halved"
    )
    assert sentence({}) == ""


def test_statistics_of_a_training_at_work() -> None:
    stats = train_stats(PROGRESS, status="RUNNING", start=1000.5, end=None, note="")
    assert (stats["stage"], stats["stage_epoch"], stats["stage_total_epochs"]) == ("synthesis", 1200, 5000)
    assert (stats["percent"], stats["epoch"], stats["start_ts"]) == (34.6, 34, 1000)
    assert (stats["seconds_left"], stats["message"]) == (3725.5, "batch halved")
    assert shown_in_ohif(stats) == 34


@pytest.mark.parametrize(("status", "percent"), [("DONE", 100.0), ("STOPPED", 34.6), ("ERROR", 34.6)])
def test_statistics_of_a_training_that_is_over_show_as_not_running(status: str, percent: float) -> None:
    stats = train_stats(PROGRESS, status=status, start=1000, end=1090, note="why")
    assert (stats["percent"], stats["total_time"], stats["seconds_left"]) == (percent, "0:01:30", None)
    assert stats["message"] == "why"
    assert shown_in_ohif(stats) == 0


def test_a_trainer_never_used_shows_as_not_running_and_one_just_begun_as_begun() -> None:
    assert shown_in_ohif(dict(NEVER_TRAINED)) == 0
    assert shown_in_ohif(train_stats({}, status="RUNNING", start=0, end=None, note="")) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_file_that_is_no_json_object_reads_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "progress.json").write_bytes(content)
    assert read_json(tmp_path / "progress.json") == {}
    assert read_json(tmp_path / "none.json") == {}
