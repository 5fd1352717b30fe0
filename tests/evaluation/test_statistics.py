"""Intervals that hold the truth as often as they say, and tests that see a difference where there is one."""

import math

import numpy as np
import pytest
from scipy import stats

from amd_das.evaluation.statistics import detection, difference, estimate


def test_an_interval_holds_the_mean_and_what_is_undefined_does_not_count() -> None:
    one = estimate([0.8, 0.9, math.nan, 0.7, 0.85])
    assert one.n == 4 and one.mean == pytest.approx(0.8125)
    assert 0.7 <= one.low < one.mean < one.high <= 0.9


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = [one.low < 0 < one.high for one in (estimate(rng.normal(0, 1, 40)) for _ in range(60))]
    assert 50 <= sum(held) <= 60


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.6]])
def test_too_few_scans_have_no_interval(values: list[float]) -> None:
    one = estimate(values)
    assert one.n == len(values) and math.isnan(one.low) and math.isnan(one.high)


def test_equal_values_have_an_interval_of_no_width() -> None:
    one = estimate([1.0] * 5)
    assert (one.low, one.mean, one.high) == (1, 1, 1)


def test_a_constant_gain_is_seen() -> None:
    first = np.random.default_rng(0).uniform(0.3, 0.8, 20)
    gain = difference(first, first + np.linspace(0.02, 0.06, 20))
    assert gain.mean == pytest.approx(0.04) and 0.02 < gain.low < gain.high < 0.06
    assert gain.p == pytest.approx(stats.wilcoxon(np.linspace(0.02, 0.06, 20)).pvalue) and gain.p < 0.001


def test_no_difference_is_none() -> None:
    none = difference([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])
    assert (none.mean, none.low, none.high, none.p) == (0, 0, 0, 1)


def test_only_pairs_that_are_whole_are_compared() -> None:
    assert difference([0.1, math.nan, 0.3], [0.2, 0.5, math.nan]).n == 1
    assert difference([math.nan], [0.5]).n == 0


def test_detection_is_the_chance_that_a_bleed_is_given_more_volume() -> None:
    bleeds, volumes = [True, True, True, False, False, False], [10, 3, 0.5, 0, 0, 1]
    found = detection(bleeds, volumes)
    assert found is not None and found.area == pytest.approx(8 / 9)
    assert found.low <= found.area <= found.high <= 1
    assert found.false_rate[0] == found.true_rate[0] == 0 and found.false_rate[-1] == found.true_rate[-1] == 1
    assert np.all(np.diff(found.threshold_ml) < 0)


@pytest.mark.parametrize("bleeds", [[True, True], [False, False]])
def test_scans_of_one_kind_cannot_be_told_apart(bleeds: list[bool]) -> None:
    assert detection(bleeds, [1, 2]) is None
