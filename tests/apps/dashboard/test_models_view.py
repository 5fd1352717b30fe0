"""What the dashboard says of the model's versions."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers.heads import save_blood_detector

from amd_das.models import CARD, RECORD
from amd_das_app.dashboard.models_view import card, one_version, versions

HOSTILE = "<script>x</script>"


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """Three versions, made one after the other on one day; none is in use."""
    for number, bias in enumerate((-10.0, -20.0, -40.0)):
        version = save_blood_detector(tmp_path, bias, make_current=False).version
        os.utime(tmp_path / "versions" / version / RECORD, (number, number))
    return tmp_path


def note(model_dir: Path, version: str, **changes: Any) -> None:
    path = model_dir / "versions" / version / RECORD
    stat = path.stat()
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    os.utime(path, (stat.st_atime, stat.st_mtime))


def test_the_newest_first_and_which_way_is_back(model_dir: Path) -> None:
    newest, middle, oldest = (view.version for view in versions(model_dir, None))
    assert (model_dir / "versions" / newest / RECORD).stat().st_mtime == 2
    seen = {view.version: (view.in_use, view.newer) for view in versions(model_dir, middle)}
    assert seen == {newest: (False, True), middle: (True, False), oldest: (False, False)}


def test_scores_and_the_reason_of_a_version_that_was_not_published(model_dir: Path) -> None:
    version = versions(model_dir, None)[0].version
    metrics = {
        "mean_dice": 0.8123, "champion_mean_dice": 0.8541, "held_out_bleeds": 1, "published": False,
        "reason": "worse on 1 held-out bleed(s)", "champion": {"version": "v0"},
    }  # fmt: skip
    note(model_dir, version, metrics=metrics, training={"fine_tuned_from": "v0", "data": "4 scans"})
    view = one_version(model_dir, version, None)
    assert view is not None
    assert (view.dice, view.before, view.kept) == ("0.812 on 1 scan with a bleed", "0.854", True)
    assert view.reason == "Worse on 1 held-out bleed(s)"
    assert view.origin == "Fine-tuned from v0 on 4 scans"
    assert view.metrics == (
        ("Mean Dice", "0.812"),
        ("Mean Dice of the model before", "0.854"),
        ("Held-out scans with a bleed", "1"),
    )


def test_dice_on_phantom_heads_is_called_so(model_dir: Path) -> None:
    version = versions(model_dir, None)[0].version
    metrics = {"mean_dice": 0.8123, "champion_mean_dice": 0.8, "phantom_bleeds": 18, "phantom_without": 6}
    note(model_dir, version, metrics=metrics, training={"adapted_from": "v0"})
    view = one_version(model_dir, version, None)
    assert view is not None
    assert view.dice == "0.812 on 18 phantom heads with a bleed"
    assert ("Phantom heads without a bleed", "6") in view.metrics


def test_what_a_version_was_adapted_from(model_dir: Path) -> None:
    version = versions(model_dir, None)[0].version
    note(model_dir, version, training={"adapted_from": "v0", "data": "target: 9 cases, 120 slices"})
    view = one_version(model_dir, version, None)
    assert view is not None
    assert view.origin == "Adapted from v0 to target: 9 cases, 120 slices"


def test_a_damaged_record_is_told_and_hides_no_other(model_dir: Path) -> None:
    damaged = versions(model_dir, None)[1].version
    (model_dir / "versions" / damaged / RECORD).write_text("{")
    found = {view.version: view.error for view in versions(model_dir, None)}
    assert len(found) == 3
    assert "damaged" in found[damaged]
    assert sum(bool(error) for error in found.values()) == 1


def test_a_card_is_html_but_what_it_holds_is_text(model_dir: Path) -> None:
    version = versions(model_dir, None)[0].version
    (model_dir / "versions" / version / CARD).write_text(f"# Card\n\n{HOSTILE}\n\n| | |\n|---|---|\n| 1 | 2 |\n")
    shown = card(model_dir, version)
    assert "<h2>Card</h2>" in shown and "<td>2</td>" in shown and "<th>" not in shown
    assert HOSTILE not in shown and "&lt;script&gt;" in shown
    (model_dir / "versions" / version / CARD).unlink()
    assert "no card" in card(model_dir, version)


def test_no_versions_and_no_such_version(tmp_path: Path) -> None:
    assert versions(tmp_path, None) == []
    assert one_version(tmp_path, "v1", None) is None
