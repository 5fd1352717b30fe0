"""Spots that are too dense to be blood go, with their soft edge; everything else stays."""

import numpy as np

from amd_das.preprocessing.density import without_bone


def slices_of(hu: float) -> tuple[np.ndarray, np.ndarray]:
    """A spot of 6 x 6 pixels with a soft edge, of this density, amid tissue."""
    unit, probability = np.full((2, 32, 32), 0.3, np.float32), np.zeros((2, 32, 32), np.float32)
    unit[1, 10:16, 10:16] = hu / 100
    probability[1, 9:17, 9:17] = 0.3
    probability[1, 10:16, 10:16] = 0.9
    return probability, unit


def test_bone_goes_with_its_edge() -> None:
    assert not without_bone(*slices_of(100)).any()


def test_dense_blood_stays() -> None:
    probability, unit = slices_of(90)
    assert np.array_equal(without_bone(probability, unit), probability)


def test_a_calcification_within_a_bleed_takes_nothing_away() -> None:
    probability, unit = slices_of(70)
    unit[1, 11:14, 11:14] = 1.0
    assert np.array_equal(without_bone(probability, unit), probability)


def test_only_the_spot_itself_goes() -> None:
    probability, unit = slices_of(100)
    probability[1, 22:26, 22:26], unit[1, 22:26, 22:26] = 0.8, 0.6
    kept = without_bone(probability, unit)
    assert (kept[1, 22:26, 22:26] == np.float32(0.8)).all()
    assert not kept[1, 9:17, 9:17].any()
    assert probability[1, 12, 12] == np.float32(0.9), "what was given is left as it is"
