"""In which order slices come: what lies where depends on the seed and the position alone."""

from collections.abc import Callable

import numpy as np

Rows = Callable[[np.ndarray], np.ndarray]
"""(n,) positions of an endless sequence → (n,) slices."""


class Deck:
    """Items shuffled anew each time all have been dealt; what lies where depends on the seed alone."""

    def __init__(self, items: np.ndarray, seed: tuple[int, ...]) -> None:
        """``items`` (n,), at least one; ``seed`` of non-negative numbers."""
        self.items, self._seed = items, seed
        self._shuffled: tuple[int, np.ndarray] = (-1, items)

    def deal(self, positions: np.ndarray) -> np.ndarray:
        """The items at (k,) positions of the endless sequence."""
        epochs, places = np.divmod(positions, len(self.items))
        dealt = np.empty(len(positions), self.items.dtype)
        for epoch in np.unique(epochs):
            if self._shuffled[0] != epoch:
                rng = np.random.default_rng([*self._seed, int(epoch)])
                self._shuffled = (int(epoch), rng.permutation(self.items))
            dealt[epochs == epoch] = self._shuffled[1][places[epochs == epoch]]
        return dealt


def dealt(share: float, first: Rows, second: Rows) -> Rows:
    """Of any run of positions, this share from the first sequence and the rest from the second, each in its order."""

    def rows(positions: np.ndarray) -> np.ndarray:
        before, after = (np.floor(places * share).astype(np.int64) for places in (positions, positions + 1))
        is_first = after > before
        found = np.empty(len(positions), np.int64)
        found[is_first] = first(before[is_first])
        found[~is_first] = second((positions - before)[~is_first])
        return found

    return rows
