"""Where the brains of slices are, for pictures."""

import numpy as np

from amd_das.slices.crop import crop_to_brains


def test_all_brains_are_in_it_with_a_margin() -> None:
    first, second = np.zeros((2, 240, 240), np.uint8)
    first[100:120, 60:80] = 1
    second[90:110, 70:90] = 1
    assert crop_to_brains([first, second]) == (slice(85, 125), slice(55, 95))
    assert crop_to_brains([np.zeros((240, 240), np.uint8)]) == (slice(0, 240), slice(0, 240))
