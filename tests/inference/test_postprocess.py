import numpy as np
from helpers.components import three_components

from amd_das.inference.postprocess import binarise, doubtful_spots, drop_small


def test_the_threshold_itself_is_hemorrhage() -> None:
    assert binarise(np.array([0.49, 0.5, 0.51]), 0.5).tolist() == [False, True, True]


def test_components_below_the_limit_are_dropped_and_those_at_it_kept() -> None:
    mask = three_components()
    for limit, left in ((0.0, 12), (0.2, 11), (0.3, 11), (0.31, 8), (0.8, 8), (0.81, 0)):
        assert drop_small(mask, voxel_ml=0.1, min_component_ml=limit - 1e-9).sum() == left


def test_the_mask_given_is_left_as_it_is() -> None:
    mask = three_components()
    kept = drop_small(mask, voxel_ml=0.1, min_component_ml=0.5)
    assert mask.sum() == 12
    assert kept.dtype == bool and kept.shape == mask.shape
    assert kept[1:3, 1:3, 0:2].all()


def test_an_empty_mask_stays_empty() -> None:
    assert not drop_small(np.zeros((3, 3, 3), bool), 0.1, 0.1).any()


def a_sure_and_a_doubtful_spot() -> np.ndarray:
    """Probabilities with a spot of mean 0.9, 27 voxels, and one of mean 0.3 that reaches 0.7, over two slices."""
    seen = np.full((4, 20, 20), 0.01, np.float32)
    seen[0:3, 2:5, 2:5] = 0.9
    seen[1:3, 10:16, 10:16] = 0.25
    seen[1:3, 12, 12] = 0.7
    return seen


def test_a_doubtful_spot_goes_whole_where_the_scan_has_a_sure_one() -> None:
    seen = a_sure_and_a_doubtful_spot()
    doubtful = doubtful_spots(seen, threshold=0.5, sure_from=0.6, voxel_ml=0.1, least_ml=0.1)
    expected = np.zeros(seen.shape, bool)
    expected[1:3, 10:16, 10:16] = True
    np.testing.assert_array_equal(doubtful, expected)


def test_the_only_spot_of_a_scan_stays_however_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    seen[0:3, 2:5, 2:5] = 0.01
    assert not doubtful_spots(seen, threshold=0.5, sure_from=0.6, voxel_ml=0.1, least_ml=0.1).any()


def test_a_sure_spot_that_would_be_dropped_as_too_small_makes_none_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    for least_ml, left_out in ((2.69, 72), (2.71, 0)):
        assert doubtful_spots(seen, 0.5, 0.6, voxel_ml=0.1, least_ml=least_ml).sum() == left_out


def test_spots_below_the_threshold_are_neither_sure_nor_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    assert not doubtful_spots(seen, threshold=0.8, sure_from=0.6, voxel_ml=0.1, least_ml=0.1).any()
    assert not doubtful_spots(seen, threshold=0.95, sure_from=0.95, voxel_ml=0.1, least_ml=0.1).any()


def test_at_0_no_spot_is_doubtful_and_an_empty_map_has_none() -> None:
    seen = a_sure_and_a_doubtful_spot()
    assert not doubtful_spots(seen, 0.5, 0.0, voxel_ml=0.1, least_ml=0.1).any()
    assert not doubtful_spots(np.zeros((2, 5, 5), np.float32), 0.5, 0.6, 0.1, 0.1).any()
