"""Spots that are too dense to be blood go, with their soft edge; fluid is dark, and counts in front of a pixel."""

import numpy as np

from amd_das.preprocessing.density import behind_fluid, fluid, without_bone


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


def test_fluid_is_as_dark_as_csf_where_the_brain_is() -> None:
    hu = np.full((2, 20, 20), 33.0, np.float32)
    hu[0, 5:12, 5:12] = 8.0
    hu[1, 10, 10] = -5.0
    brain = np.ones(hu.shape, bool)
    brain[0, :, 8:] = False
    expected = np.zeros(hu.shape, bool)
    expected[0, 5:12, 5:8] = True
    found = fluid(hu, brain)
    assert (found != expected).sum() <= 2, "but for the corners, which smoothing rounds"
    assert not found[1].any(), "one dark pixel is noise"
    np.testing.assert_array_equal(fluid(hu[0], brain[0]), found[0])


def pool(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """One slice of tissue, with fluid in these rows of columns 10 to 29; all of it is brain."""
    unit = np.full((1, 60, 40), 0.33, np.float32)
    unit[0, rows, 10:30] = 0.06
    return unit, np.ones(unit.shape, bool)


def test_what_lies_behind_a_pool_is_behind_fluid_and_what_lies_before_or_beside_it_is_not() -> None:
    behind = behind_fluid(*pool(slice(20, 30)))[0]
    assert behind[30:39, 12:28].all()
    assert not behind[:24].any(), "before it, and where it begins"
    assert not behind[:, :9].any() and not behind[:, 31:].any(), "beside it"
    assert not behind[40:].any(), "far behind it"


def test_a_narrow_space_is_no_pool() -> None:
    assert not behind_fluid(*pool(slice(20, 24))).any()


def test_a_pool_at_the_edge_of_the_image_is_one() -> None:
    behind = behind_fluid(*pool(slice(0, 6)))[0]
    assert behind[6:13, 12:28].all()
    assert not behind[:4].any()


def test_dark_pixels_outside_the_brain_are_no_fluid() -> None:
    unit, brain = pool(slice(20, 30))
    brain[0, 20:30] = False
    assert not behind_fluid(unit, brain).any()
