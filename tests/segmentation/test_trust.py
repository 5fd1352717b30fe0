"""A slice is believed by what is sure in it, a spot as a whole: doubt makes it nothing, or leaves its slices out."""

from dataclasses import asdict

import numpy as np
import pytest

from amd_das.errors import ConfigError
from amd_das.segmentation.trust import SliceTrust, SpotTrust

TRUST = SpotTrust(lesion_px=9)


def scan(*spots: tuple[slice, int, float], slices: int = 7) -> np.ndarray:
    """Each spot: its slices, its side in pixels, its probability; side by side along the rows."""
    made = np.zeros((slices, 40, 120), np.float32)
    for place, (where, side, value) in enumerate(spots):
        made[where, 10 : 10 + side, 5 + 40 * place : 5 + 40 * place + side] = value
    return made


def of(probability: np.ndarray, numbers: list[int] | None = None) -> tuple[np.ndarray, list[bool]]:
    lesion, kept = TRUST.believed(probability, np.asarray(numbers or range(len(probability))))
    return lesion, kept.tolist()


def test_a_sure_spot_is_a_lesion_and_no_spot_is_none() -> None:
    probability = scan((slice(2, 4), 6, 0.95))
    lesion, kept = of(probability)
    assert np.array_equal(lesion, probability > 0.5)
    assert all(kept)


def test_a_slice_that_is_sure_alone_is_none_where_its_spot_is_doubtful() -> None:
    probability = scan((slice(1, 6), 8, 0.4))
    probability[3][probability[3] > 0] = 0.97
    lesion, kept = of(probability)
    assert not lesion.any()
    assert all(kept), "it is learnt from, as no lesion"


def test_slices_of_a_spot_between_both_are_left_out() -> None:
    lesion, kept = of(scan((slice(1, 3), 8, 0.7), (slice(5, 7), 6, 0.95)))
    assert kept == [True, False, False, True, True, True, True]
    assert lesion.any((1, 2)).tolist() == [False] * 5 + [True] * 2


def test_a_few_pixels_are_nothing() -> None:
    lesion, kept = of(scan((slice(3, 4), 2, 0.7), (slice(3, 4), 2, 0.95)))
    assert not lesion.any()
    assert all(kept)


def test_a_lesion_that_is_small_in_each_of_its_slices_is_not_learnt_from() -> None:
    """It may be blood in a horn of a ventricle, which networks are sure of."""
    probability = scan((slice(1, 3), 6, 0.95), (slice(4, 5), 8, 0.95), (slice(6, 7), 5, 0.95))
    lesion, kept = SpotTrust(lesion_px=40).believed(probability, np.arange(7))
    assert kept.tolist() == [True, False, False, True, True, True, False]
    assert np.flatnonzero(lesion.any((1, 2))).tolist() == [4]
    lesion, _ = SpotTrust(lesion_px=36).believed(probability, np.arange(7))
    assert np.flatnonzero(lesion.any((1, 2))).tolist() == [1, 2, 4], "two slices of 36 pixels are not one of 72"


def test_where_a_large_lesion_ends_at_once_the_next_slices_are_left_out() -> None:
    _, kept = of(scan((slice(2, 4), 12, 0.95)))
    assert kept == [True, False, True, True, False, True, True]
    _, kept = of(scan((slice(2, 4), 9, 0.95)))
    assert all(kept), "of 81 pixels it may"


def test_a_spot_does_not_reach_across_a_gap() -> None:
    probability = scan((slice(0, 6), 8, 0.5), slices=6)
    probability[4:][probability[4:] > 0] = 0.95
    joined, _ = of(probability)
    assert not joined.any()
    lesion, kept = of(probability, [3, 5, 7, 9, 20, 22])
    assert lesion.any((1, 2)).tolist() == [False] * 4 + [True] * 2
    assert all(kept)


def test_in_a_slice_or_two_what_is_doubtful_stays_so() -> None:
    """A bleed in a single slice may be all there is to see of it."""
    lesion, kept = of(scan((slice(0, 1), 8, 0.4), slices=1))
    assert not lesion.any() and kept == [False]
    lesion, kept = of(scan((slice(0, 1), 8, 0.95), slices=1))
    assert lesion.any() and kept == [True]


@pytest.mark.parametrize(
    ("above_low", "above_high", "sure"), [(0, 0, True), (7, 0, True), (40, 10, False), (40, 20, True), (40, 40, True)]
)
def test_what_is_sure_in_a_slice(above_low: int, above_high: int, sure: bool) -> None:
    probability = np.zeros((1, 20, 20), np.float32)
    probability.flat[:above_low] = 0.3
    probability.flat[:above_high] = 0.9
    lesion, kept = SliceTrust().believed(probability, np.array([4]))
    assert kept.tolist() == [sure]
    assert lesion.sum() == above_high


@pytest.mark.parametrize("wrong", [{"begins": 0.6}, {"sure_from": 0.4}, {"least_px": 0}])
def test_settings_of_slices_that_cannot_be_meant(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SliceTrust(**wrong)  # type: ignore[arg-type]


def test_the_record_says_what_was_believed() -> None:
    assert (asdict(SliceTrust())["by"], asdict(SpotTrust())["by"]) == ("slice", "spot")


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins": 0.7},
        {"nothing_below": 0.9},
        {"lesion_from": 1.0},
        {"least_px": 0},
        {"lesion_px": 0},
        {"abrupt_px": 0},
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SpotTrust(**wrong)  # type: ignore[arg-type]
