import numpy as np

from amd_das.inference.postprocess import binarise, drop_small


def test_the_threshold_itself_is_hemorrhage() -> None:
    assert binarise(np.array([0.49, 0.5, 0.51]), 0.5).tolist() == [False, True, True]


def three_components() -> np.ndarray:
    """Of 8, 3 (joined at corners only) and 1 voxels."""
    mask = np.zeros((12, 12, 4), bool)
    mask[1:3, 1:3, 0:2] = True
    mask[[6, 7, 8], [6, 7, 8], [1, 2, 3]] = True
    mask[10, 1, 0] = True
    return mask


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
