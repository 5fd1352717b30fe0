import numpy as np
import pytest
from helpers.components import three_components

from amd_das.components import Components


@pytest.fixture
def mask() -> np.ndarray:
    return three_components()


def test_what_shares_a_corner_is_one(mask: np.ndarray) -> None:
    found = Components.of(mask)
    assert found.count == 3
    assert found.sizes().tolist() == [0, 8, 3, 1]
    assert Components.of(mask.any(2)).sizes().tolist() == [0, 4, 3, 1], "in a slice as well"


def test_sizes_can_be_asked_of_a_part(mask: np.ndarray) -> None:
    lower = np.zeros_like(mask)
    lower[..., :2] = True
    assert Components.of(mask).sizes(lower).tolist() == [0, 8, 1, 1]


def test_means_and_medians_are_of_the_components_alone(mask: np.ndarray) -> None:
    values = np.full(mask.shape, 50.0)
    values[1:3, 1:3, 0] = 4.0
    values[[6, 7, 8], [6, 7, 8], [1, 2, 3]] = 1.0, 2.0, 9.0
    found = Components.of(mask)
    assert found.means(values).tolist() == [0, 27, 4, 50]
    assert found.medians(values).tolist() == [0, 27, 2, 50]


def test_chosen_ones_as_a_mask_never_hold_what_is_around(mask: np.ndarray) -> None:
    found = Components.of(mask)
    np.testing.assert_array_equal(found.mask(np.ones(4, bool)), mask)
    small = found.mask(found.sizes() < 8)
    assert small.sum() == 4
    assert not small[:3, :3].any()


def test_places_are_those_in_the_mask(mask: np.ndarray) -> None:
    places = list(Components.of(mask).places())
    assert [len(one) for one in places] == [8, 3, 1]
    assert places[1].tolist() == [[6, 6, 1], [7, 7, 2], [8, 8, 3]]
    rebuilt = np.zeros_like(mask)
    for one in places:
        rebuilt[tuple(one.T)] = True
    np.testing.assert_array_equal(rebuilt, mask)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5)])
def test_an_empty_mask_has_none(shape: tuple[int, ...]) -> None:
    found = Components.of(np.zeros(shape, bool))
    assert found.count == 0
    assert (
        found.sizes().tolist() == found.means(np.ones(shape)).tolist() == found.medians(np.ones(shape)).tolist() == [0]
    )
    assert not found.mask(np.ones(1, bool)).any()
    assert found.mask(np.ones(1, bool)).shape == shape
    assert list(found.places()) == []


def test_widest_is_the_largest_area_in_one_slice(mask: np.ndarray) -> None:
    found = Components.of(mask)
    sizes = [[int((mask[z] & found.mask(np.arange(4) == n)[z]).sum()) for z in range(len(mask))] for n in (1, 2, 3)]
    assert found.widest(np.ones_like(mask)).tolist() == [0, *map(max, sizes)] == [0, 4, 1, 1]
    assert found.widest(np.zeros_like(mask)).tolist() == [0, 0, 0, 0]
