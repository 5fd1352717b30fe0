"""Diversity: the same is near, the unlike is far, and the first is new."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from amd_das.active_learning.diversity import HEIGHTS, distance_to_nearest, volume_fingerprint


def volume(seed: int, count: int = 20) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((count, 8, 8))
    return coarse.repeat(30, axis=1).repeat(30, axis=2)


def test_a_fingerprint_has_a_number_for_each_height() -> None:
    found = volume_fingerprint(volume(0), np.arange(20))
    assert found.shape == (HEIGHTS,)
    assert found.dtype == np.uint64
    assert len(np.unique(found)) == HEIGHTS


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_slices_are_enough(count: int) -> None:
    assert volume_fingerprint(volume(0), np.arange(count)).shape == (HEIGHTS,)


def test_the_number_of_slices_does_not_matter_much() -> None:
    smooth = gaussian_filter1d(volume(0, 40), 6, axis=0)
    thin, thick = volume_fingerprint(smooth, np.arange(40)), volume_fingerprint(smooth[::2].copy(), np.arange(20))
    other = volume_fingerprint(gaussian_filter1d(volume(1, 40), 6, axis=0), np.arange(40))
    assert distance_to_nearest(thin, [thick]) < 0.3 * distance_to_nearest(thin, [other])


def test_the_nearest_of_the_others_counts() -> None:
    one, other, same = (volume_fingerprint(volume(seed), np.arange(20)) for seed in (0, 1, 0))
    far = distance_to_nearest(one, [other])
    assert 0.1 < far < 1.0
    assert distance_to_nearest(one, [other, same]) == 0.0


def test_the_opposite_is_farthest() -> None:
    one = volume_fingerprint(volume(0), np.arange(20))
    assert distance_to_nearest(one, [~one]) == 1.0


def test_without_others_everything_is_new() -> None:
    assert distance_to_nearest(volume_fingerprint(volume(0), np.arange(20)), []) == math.inf
