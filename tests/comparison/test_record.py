"""A verdict counts for the champion it was reached against, and for no other."""

from pathlib import Path

from helpers.heads import save_blood_detector

from amd_das.comparison.record import as_it_stands, metrics_of
from amd_das.comparison.rule import Verdict

BETTER = Verdict(publish=True, reason="not worse on 8", numbers={"dice_gain": 0.1})


def test_it_stands_while_the_champion_is_in_use(tmp_path: Path) -> None:
    champion = save_blood_detector(tmp_path).version
    assert as_it_stands(BETTER, champion, tmp_path) == BETTER
    other = save_blood_detector(tmp_path, bias=-12.0).version
    now = as_it_stands(BETTER, champion, tmp_path)
    assert not now.publish and now.numbers == BETTER.numbers
    assert now.reason == f"{other} was put to use meanwhile, and it was compared with {champion}; not worse on 8"
    worse = Verdict(publish=False, reason="worse on 8")
    assert as_it_stands(worse, champion, tmp_path) == worse, "it was not to be published anyway"


def test_the_record_has_the_numbers_the_reason_and_the_champion() -> None:
    assert metrics_of(BETTER, "one") == {
        "dice_gain": 0.1,
        "champion": {"version": "one"},
        "published": True,
        "reason": "not worse on 8",
    }
