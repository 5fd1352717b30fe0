"""Means over the scans they are said of, over the whole set and its parts."""

import math

import pytest
from helpers.labelled_sets import block, case_scores

from amd_das.evaluation.summary import compare, summarise

CASES = [
    case_scores("whole", block(4), block(4), "iph", "ivh", scanner="A"),
    case_scores("half", block(2), block(4), "iph", scanner="B"),
    case_scores("missed", block(0), block(4), "iph", scanner="B"),
    case_scores("quiet", block(0), block(0), "none", scanner="A"),
    case_scores("alarm", block(5), block(0), "sah"),
]
"""Dice 1, 2/3 and 0; 1.2 mL of false positives in one of two negatives."""


def test_each_number_is_a_mean_over_the_scans_it_is_said_of() -> None:
    one = summarise(CASES).overall
    assert (one.bleeds, one.negatives, one.found, one.false_alarms) == (3, 2, 2, 1)
    assert one.measures["dice"].n == 3 and one.measures["dice"].mean == pytest.approx((1 + 2 / 3) / 3)
    assert one.measures["dice"].median == pytest.approx(2 / 3)
    assert one.measures["hd95_mm"].n == 2, "undefined where nothing is predicted"
    assert one.measures["specificity"].n == 5
    assert one.measures["volume_bias_ml"].mean == pytest.approx(-(0.48 + 0.96) / 3)
    assert one.measures["volume_error_ml"].mean == pytest.approx((0.48 + 0.96) / 3)
    assert one.measures["false_positive_ml"].n == 2 and one.measures["false_positive_ml"].mean == pytest.approx(0.6)
    assert one.worst_false_positive_ml == pytest.approx(1.2)


def test_lesions_are_counted_over_all_scans_together() -> None:
    one = summarise(CASES).overall
    assert (one.lesions_ref, one.lesions_found, one.lesions_pred, one.lesions_false) == (3, 2, 3, 1)
    assert one.lesion_f1 == pytest.approx(2 / 3)
    assert one.measures["lesion_f1"].mean == pytest.approx(2 / 3)


def test_a_scan_is_in_the_part_of_each_of_its_subtypes() -> None:
    by = summarise(CASES).by
    counts = {name: (one.bleeds, one.negatives) for name, one in by["subtype"].items()}
    assert counts == {"iph": (3, 0), "ivh": (1, 0), "sah": (0, 1), "none": (0, 1)}
    assert {name: one.bleeds + one.negatives for name, one in by["scanner"].items()} == {"A": 2, "B": 2}
    assert set(by["volume"]) == {"no bleed", "< 5 mL"}
    assert by["subtype"]["ivh"].measures["dice"].mean == 1


def test_the_papers_dice_counts_each_slice() -> None:
    summary = summarise(CASES)
    paper = summary.paper
    assert (paper.slices, paper.slices_with_lesion) == (30, 6)
    whole, half, missed, alarm = 1.0, (2 * 12 + 1) / (12 + 24 + 1), 1 / 25, 1 / 31
    assert paper.with_lesion == pytest.approx((whole + half + missed) / 3)
    assert paper.without_lesion == pytest.approx((22 + 2 * alarm) / 24)
    assert paper.all_slices == pytest.approx((6 * paper.with_lesion + 24 * paper.without_lesion) / 30)
    assert paper.nothing == pytest.approx((24 + 6 * missed) / 30)
    assert paper.nothing > summary.overall.measures["dice"].mean, "predicting nothing looks good in it"


def test_slices_without_lesion_count_for_specificity_alone() -> None:
    one = summarise(CASES).overall
    assert one.measures["slice_dice"].n == 3 and one.measures["slice_dice"].mean == pytest.approx((1 + 2 / 3) / 3)
    assert one.measures["slice_precision"].n == 2
    assert one.measures["slice_specificity"].n == 5


def test_models_are_compared_scan_by_scan_with_the_first() -> None:
    better = [case_scores(one.case, block(3), block(4)) if one.case == "missed" else one for one in CASES]
    (found,) = compare({"old": CASES, "new": better}).values()
    assert found["dice"].n == 3 and found["dice"].mean == pytest.approx((6 / 7) / 3)
    assert found["false_positive_ml"].n == 2 and found["false_positive_ml"].mean == 0
    assert found["hd95_mm"].n == 2
    assert compare({"old": CASES}) == {}


def test_a_set_of_one_kind_is_summarised_too() -> None:
    bleeds, negatives = summarise(CASES[:3]), summarise(CASES[3:])
    assert bleeds.detection is None and math.isnan(bleeds.overall.worst_false_positive_ml)
    assert negatives.overall.measures["dice"].n == 0 and math.isnan(negatives.paper.with_lesion)
