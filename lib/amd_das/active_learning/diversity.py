"""How unlike two scans are, by the fingerprints of the matching (section 3.1.4)."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from amd_das.matching.fingerprint import BITS, fingerprints

HEIGHTS: Final = 8
"""Slices, evenly spread over the brain, whose fingerprints are a volume's (ours)."""


def volume_fingerprint(slices: np.ndarray, with_brain: np.ndarray) -> np.ndarray:
    """(HEIGHTS,) uint64 of a volume, from its lowest part of the brain to the highest.

    Args:
        slices: (Z, 240, 240) float in [0, 1], 0 outside the brain, in the order of the grid.
        with_brain: (n,) numbers of those that show brain, at least one; the outer tenths are left out where there are
            enough.
    """
    inner = with_brain[len(with_brain) // 10 : len(with_brain) - len(with_brain) // 10]
    chosen = inner[np.linspace(0, len(inner) - 1, HEIGHTS).round().astype(int)]
    return fingerprints(np.rint(255 * slices[chosen]).astype(np.uint8))


def distance_to_nearest(one: np.ndarray, others: Iterable[np.ndarray]) -> float:
    """Mean part of the bits in which a volume differs from the one of the others that is most like it, in [0, 1].

    Infinite where there are no others: whatever is chosen first is new.
    """
    found = [one ^ other for other in others]
    if not found:
        return float("inf")
    apart = np.unpackbits(np.stack(found).view(np.uint8), axis=1).sum(axis=1)
    return float(apart.min()) / (BITS * len(one))
