"""Uncertainty: halves are unsure, certainty is not, and the two views are compared."""

import numpy as np
import pytest

from amd_das.active_learning.uncertainty import WORST_SLICES, flip_consistency, slice_entropy, volume_entropy


def slices(*chances: float, px: int = 100) -> np.ndarray:
    """Slices of certain background with a square of one probability each."""
    found = np.zeros((len(chances), 40, 40), np.float32)
    side = int(px**0.5)
    for number, chance in enumerate(chances):
        found[number, :side, :side] = chance
    return found


def test_a_half_is_one_bit_and_certainty_none() -> None:
    assert np.allclose(slice_entropy(slices(0.5, 1.0, 0.0)), [1.0, 0.0, 0.0])


def test_entropy_is_that_of_a_coin_whatever_the_side() -> None:
    found = slice_entropy(slices(0.2, 0.8))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0] == pytest.approx(0.7219, abs=1e-3)


def test_background_does_not_drown_what_is_in_question() -> None:
    small, large = slices(0.5, px=16), slices(0.5, px=900)
    assert slice_entropy(small)[0] == pytest.approx(slice_entropy(large)[0])


def test_single_pixels_are_not_asked() -> None:
    assert slice_entropy(slices(0.5, px=4))[0] == 0


def test_the_worst_slices_speak_for_the_volume() -> None:
    few = slices(*[0.5] * WORST_SLICES, *[0.0] * 30)
    assert volume_entropy(few) == pytest.approx(1.0)
    assert volume_entropy(slices(0.5, *[0.0] * 30)) == pytest.approx(1 / WORST_SLICES)
    assert volume_entropy(slices()) == 0.0


def test_consistency_is_dice_between_the_views() -> None:
    plain, mirrored = slices(0.9), slices(0.9)
    assert flip_consistency(plain, mirrored, 0.5) == 1.0
    mirrored[:, :5, :10] = 0.1
    assert flip_consistency(plain, mirrored, 0.5) == pytest.approx(2 * 50 / 150)
    assert flip_consistency(plain, np.zeros_like(plain), 0.5) == 0.0


def test_two_views_that_say_nothing_agree() -> None:
    assert flip_consistency(slices(0.1), slices(0.3), 0.5) == 1.0
