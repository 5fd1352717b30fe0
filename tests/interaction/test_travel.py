import numpy as np
import pytest

from amd_das.interaction.travel import FAR, travel


def test_ways_are_mm_on_anisotropic_voxels() -> None:
    way = travel(np.ones((9, 21, 31), np.float32), (5.0, 1.0, 2.0), np.array([[4, 10, 15]]), 100.0)
    assert way[4, 10, 15] == 0
    assert way[4, 10, 20] == pytest.approx(10.0, rel=0.01)
    assert way[4, 17, 15] == pytest.approx(7.0, rel=0.01)
    assert way[6, 10, 15] == pytest.approx(10.0, rel=0.01)


def test_hard_tissue_is_gone_round() -> None:
    cost = np.ones((1, 21, 21), np.float32)
    cost[0, :15, 10] = 1000.0
    way = travel(cost, (1.0, 1.0, 1.0), np.array([[0, 5, 5]]), 100.0)
    assert 18 < way[0, 5, 15] < 30


def test_nothing_beyond_the_farthest_is_reached() -> None:
    way = travel(np.ones((1, 1, 30), np.float32), (1.0, 1.0, 1.0), np.array([[0, 0, 0], [0, 0, 0]]), 10.5)
    assert way[0, 0, 10] == pytest.approx(10.0, abs=0.1)
    assert (way[0, 0, 12:] == FAR).all()
