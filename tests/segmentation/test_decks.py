"""The order of slices: each once before any comes again, shares kept in any run, seeds repeat."""

import numpy as np
import pytest

from amd_das.segmentation.decks import Deck, dealt


def test_a_deck_deals_across_epochs() -> None:
    deck = Deck(np.arange(5), (0,))
    order = deck.deal(np.arange(20))
    assert all(sorted(part) == list(range(5)) for part in order.reshape(4, 5).tolist())
    assert np.array_equal(deck.deal(np.array([13, 2, 7])), order[[13, 2, 7]])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_any_run_has_the_share_and_loses_nothing(share: float) -> None:
    first, second = Deck(np.arange(10), (0, 1)), Deck(np.arange(100, 120), (0, 2))
    rows = dealt(share, first.deal, second.deal)
    found = rows(np.arange(60))
    assert np.array_equal(found, np.concatenate([rows(np.arange(start, start + 12)) for start in range(0, 60, 12)]))
    for start in range(50):
        assert abs((found[start : start + 10] < 100).sum() - 10 * share) < 1 + 1e-9
    if share:
        assert set(found[found < 100][:10]) == set(range(10))
