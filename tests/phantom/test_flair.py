"""The FLAIR phantom: skull-stripped, bright where the tumour is, seeded."""

import numpy as np
import pytest

from amd_das.phantom.flair import SHAPE, make_flair

SMALL = (240, 240, 24)


def test_the_tumour_is_bright_and_outside_the_brain_is_zero() -> None:
    brighter = 0
    for seed in range(3):
        case = make_flair(seed, shape=SMALL)
        array, mask = case.volume.array, case.masks["glioma"] > 0
        assert array.shape == SMALL
        assert (array == 0).mean() > 0.3
        assert array[0, 0].max() == 0
        if mask.sum() > 500:
            brain = (array > 0) & ~mask
            brighter += array[mask].mean() > 1.2 * array[brain].mean()
    assert brighter >= 2


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = make_flair(1, shape=(240, 240, 3)), make_flair(1, shape=(240, 240, 3))
    assert first.volume.array.tobytes() == again.volume.array.tobytes()
    assert np.array_equal(first.masks["glioma"], again.masks["glioma"])


def test_the_form_is_that_of_the_decathlon() -> None:
    assert SHAPE == (240, 240, 155)
    assert np.allclose(make_flair(0, shape=(8, 8, 2)).volume.spacing, 1.0)


def test_slices_further_apart_are_the_same_head() -> None:
    near, far = (make_flair(3, shape=(240, 240, count), distance_mm=mm) for count, mm in ((7, 1.0), (3, 3.0)))
    middle = [case.volume.affine[2, 3] + case.volume.affine[2, 2] * (case.volume.shape[2] // 2) for case in (near, far)]
    assert abs(middle[0] - middle[1]) <= 2
    below = [near.volume.array[:, :, k].mean() for k in range(7)]
    assert min(below) * 0.98 < far.volume.array[:, :, 1].mean() < max(below) * 1.02
    assert far.volume.voxel_ml == pytest.approx(3 * near.volume.voxel_ml)
