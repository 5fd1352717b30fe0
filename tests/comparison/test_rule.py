"""The verdict on pairs of scores, without any network."""

import math

import pytest

from amd_das.comparison.rule import Pair, RuleConfig, decide
from amd_das.errors import ConfigError

RULE = RuleConfig()


def bleed(champion: float, challenger: float, *, ml: float = 10.0, case: str = "scan") -> Pair:
    return Pair(
        case=case,
        reference_ml=ml,
        champion_ml=ml,
        challenger_ml=ml,
        champion_dice=champion,
        challenger_dice=challenger,
    )


def clear(champion_ml: float, challenger_ml: float) -> Pair:
    return Pair(case="clear", reference_ml=0.0, champion_ml=champion_ml, challenger_ml=challenger_ml)


def test_an_equal_challenger_is_published() -> None:
    for pairs in ([bleed(0.8, 0.8)], [bleed(0.7, 0.7), bleed(0.9, 0.9), *[bleed(0.5, 0.5)] * 8, clear(0.2, 0.2)]):
        verdict = decide(pairs, RULE)
        assert verdict.publish
        assert "not worse" in verdict.reason
        assert verdict.numbers["dice_gain"] == 0


def test_a_better_one_is_published_and_a_worse_one_is_not() -> None:
    better = [bleed(0.6 + 0.02 * number, 0.66 + 0.02 * number) for number in range(8)]
    assert decide(better, RULE).publish
    worse = decide([bleed(pair.challenger_dice, pair.champion_dice) for pair in better], RULE)
    assert not worse.publish
    assert "Dice changes by -0.060 on average" in worse.reason
    assert (worse.numbers["mean_dice"], worse.numbers["champion_mean_dice"]) == pytest.approx((0.67, 0.73))


@pytest.mark.parametrize(
    ("challenger", "publish"), [((0.79, 0.79), True), ((0.77, 0.77), False), ((0.95, 0.6), False), ((0.9, 0.7), True)]
)
def test_with_few_scans_the_mean_decides_and_none_may_lose_much(challenger: tuple[float, float], publish: bool) -> None:
    verdict = decide([bleed(0.8, one) for one in challenger], RULE)
    assert verdict.publish is publish, verdict.reason
    assert "dice_gain_at_least" not in verdict.numbers


def test_with_more_scans_chance_must_be_excluded() -> None:
    changes = [0.12, -0.13, 0.1, -0.12, 0.11, -0.1, 0.05]
    uncertain = decide([bleed(0.7, 0.7 + change) for change in changes], RULE)
    assert not uncertain.publish
    assert "90% confidence" in uncertain.reason
    same_mean = [bleed(0.7, 0.7 + sum(changes) / 7)] * 7
    assert decide(same_mean, RULE).publish
    assert decide([bleed(0.7, 0.7 + change) for change in changes], RULE) == uncertain, "the bootstrap is seeded"


def test_a_bleed_that_was_found_must_not_be_missed() -> None:
    pairs = [*[bleed(0.7, 0.9)] * 9, bleed(0.1, 0.0, case="small")]
    verdict = decide(pairs, RULE)
    assert not verdict.publish
    assert "misses 1 bleed(s) that were found (small)" in verdict.reason
    assert decide([*pairs[:-1], bleed(0.0, 0.0)], RULE).publish, "neither found it"
    assert decide([*pairs[:-1], bleed(0.1, 0.0, ml=0.3)], RULE).publish, "too small to insist on"


@pytest.mark.parametrize("count", [1, 8])
def test_false_positives_count_where_there_is_no_bleed(count: int) -> None:
    pairs = [bleed(0.8, 0.9)] * 8
    assert decide([*pairs, *[clear(0.1, 0.3)] * count], RULE).publish
    verdict = decide([*pairs, *[clear(0.1, 2.0)] * count], RULE)
    assert not verdict.publish
    assert "false positives" in verdict.reason
    assert (verdict.numbers["false_ml"], verdict.numbers["champion_false_ml"]) == (2.0, 0.1)


def test_without_a_held_out_bleed_nothing_is_published() -> None:
    for pairs, says in (([], "nothing is held out"), ([clear(1.0, 0.0)], "1 held-out scan(s) without one")):
        verdict = decide(pairs, RULE)
        assert not verdict.publish
        assert says in verdict.reason
        assert "label bleeds of at least 2 patients" in verdict.reason


def test_with_few_scans_what_was_known_must_not_be_forgotten() -> None:
    assert decide([bleed(0.8, 0.9)], RULE, pseudo_ct=(0.8, 0.75)).publish
    forgot = decide([bleed(0.8, 0.9)], RULE, pseudo_ct=(0.8, 0.5))
    assert not forgot.publish
    assert "falls from 0.80 to 0.50" in forgot.reason
    assert decide([bleed(0.8, 0.9)] * 6, RULE, pseudo_ct=(0.8, 0.5)).publish
    assert forgot.numbers["pseudo_ct_dice"] == 0.5


def test_phantom_heads_are_called_so() -> None:
    verdict = decide([bleed(0.8, 0.8), clear(0.0, 0.1)], RULE, scans="phantom")
    assert verdict.reason.startswith("not worse on 1 phantom bleed(s) and 1 scan(s) without")
    assert (verdict.numbers["phantom_bleeds"], verdict.numbers["phantom_without"]) == (1, 1)
    assert not [name for name in verdict.numbers if "held_out" in name]


def test_dice_of_scans_without_a_bleed_is_not_a_number() -> None:
    assert math.isnan(clear(0.0, 0.0).challenger_dice)


@pytest.mark.parametrize(
    "changes", [{"margin_dice": -0.1}, {"few": 1}, {"confidence": 0.5}, {"worst_drop": 0.0}, {"margin_ml": -1.0}]
)
def test_impossible_rules_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        RuleConfig(**changes)  # type: ignore[arg-type]
