import numpy as np
import pytest
import torch

from amd_das.preprocessing.window import from_network, to_hu, to_network, to_window


def test_zero_to_hundred_hu_become_zero_to_one_and_minus_one_to_one() -> None:
    hu = np.array([-1000.0, 0.0, 47.0, 100.0, 3000.0], np.float32)
    unit = to_window(hu)
    assert unit == pytest.approx([0.0, 0.0, 0.47, 1.0, 1.0])
    assert to_network(unit) == pytest.approx([-1.0, -1.0, -0.06, 1.0, 1.0], abs=1e-6)


def test_the_papers_lesion_threshold_of_120_is_where_fresh_blood_starts() -> None:
    assert to_hu(np.array([120 / 255])) == pytest.approx([47.0], abs=0.1)


def test_arrays_and_tensors_keep_their_type_and_come_back() -> None:
    unit = np.linspace(0.0, 1.0, 11, dtype=np.float32)
    for values in (unit, torch.from_numpy(unit)):
        back = from_network(to_network(to_window(to_hu(values))))
        assert type(back) is type(values)
        assert back.dtype == values.dtype
        assert np.asarray(back) == pytest.approx(unit, abs=1e-6)
