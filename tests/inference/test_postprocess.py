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


def doubtful(
    seen: np.ndarray,
    behind_fluid: np.ndarray | None = None,
    *,
    threshold: float = 0.5,
    sure_from: float = 0.6,
    least_ml: float = 0.1,
) -> np.ndarray:
    behind = np.zeros(seen.shape, bool) if behind_fluid is None else behind_fluid
    return doubtful_spots(seen, behind, threshold, sure_from, voxel_ml=0.1, least_ml=least_ml)


def test_a_doubtful_spot_goes_whole_where_the_scan_has_a_sure_one() -> None:
    expected = np.zeros((4, 20, 20), bool)
    expected[1:3, 10:16, 10:16] = True
    np.testing.assert_array_equal(doubtful(a_sure_and_a_doubtful_spot()), expected)


def test_the_only_spot_of_a_scan_stays_however_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    seen[0:3, 2:5, 2:5] = 0.01
    assert not doubtful(seen).any()


def test_a_sure_spot_that_would_be_dropped_as_too_small_makes_none_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    for least_ml, left_out in ((2.69, 72), (2.71, 0)):
        assert doubtful(seen, least_ml=least_ml).sum() == left_out


def test_spots_below_the_threshold_are_neither_sure_nor_doubtful() -> None:
    seen = a_sure_and_a_doubtful_spot()
    assert not doubtful(seen, threshold=0.8).any()
    assert not doubtful(seen, threshold=0.95, sure_from=0.95).any()


def test_at_0_no_spot_is_doubtful_and_an_empty_map_has_none() -> None:
    seen = a_sure_and_a_doubtful_spot()
    assert not doubtful(seen, np.ones(seen.shape, bool), sure_from=0.0).any()
    assert not doubtful(np.zeros((2, 5, 5), np.float32)).any()


def two_sure_spots(columns_behind_fluid: int) -> tuple[np.ndarray, np.ndarray]:
    """A spot in two slices of 6 rows and 10 columns, of which so many are behind fluid in both, and a smaller one."""
    seen, behind = np.zeros((3, 30, 30), np.float32), np.zeros((3, 30, 30), bool)
    seen[0:2, 15:21, 5:15] = 0.9
    behind[0:2, 15:18, 5 : 5 + columns_behind_fluid] = True
    seen[0:2, 3:7, 20:24] = 0.8
    return seen, behind


def test_a_spot_that_has_settled_behind_fluid_goes_however_sure() -> None:
    seen, behind = two_sure_spots(columns_behind_fluid=7)
    np.testing.assert_array_equal(doubtful(seen, behind), seen == np.float32(0.9))


def test_a_spot_with_fluid_before_a_part_of_its_front_stays() -> None:
    assert not doubtful(*two_sure_spots(columns_behind_fluid=6)).any()


def test_fluid_amid_a_spot_says_nothing() -> None:
    seen, behind = two_sure_spots(columns_behind_fluid=10)
    behind[:, 15] = False
    assert not doubtful(seen, behind).any()


def test_settled_blood_alone_stays_and_makes_no_other_spot_doubtful() -> None:
    seen, behind = two_sure_spots(columns_behind_fluid=10)
    seen[0:2, 3:7, 20:24] = 0.0
    assert not doubtful(seen, behind).any()
    seen[0:2, 3:7, 20:24] = 0.55
    assert not doubtful(seen, behind).any()
