"""How alike slices of two domains are, and which are most alike (section 3.1.4, eqs. 15-17).

``d_sim = w · d_ham + d_les``: the Hamming distance of two fingerprints, 0-64, times a weight, and the difference of
the two lesions in pixels. Smaller is more alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from amd_das.matching.fingerprint import BITS

MAX_WEIGHT: Final = 100_000
"""Up to here every distance and partial sum is a whole number that float32 holds exactly."""

_ROWS = 64  # sources compared with all targets at a time
_GROUPS = 512  # in which a row's minima are taken, to find a bound for its k smallest values


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """Who is most alike whom; among equals the lower index comes first."""

    index: np.ndarray
    """(N_source, k) int32, the most alike targets of each source, most alike first."""

    distance: np.ndarray
    """(N_source, k) int32, their ``d_sim``."""

    source: np.ndarray
    """(N_target,) int32, the most alike source of each target."""


def nearest(
    source_fp: np.ndarray,
    source_lesion_px: np.ndarray,
    target_fp: np.ndarray,
    target_lesion_px: np.ndarray,
    k: int,
    *,
    hamming_weight: int = 100,
    after: Callable[[int], None] | None = None,
) -> Nearest:
    """Compare every source with every target.

    For vectors of ±1 the scalar product is 64 - 2 · d_ham, so a matrix product compares a block of sources with all
    targets; in float32 it is exact. Memory is a few hundred bytes per target, whatever the number of sources.

    Args:
        source_fp: (N_source,) uint64, at least one.
        source_lesion_px: (N_source,) integers, 0 to 57,600.
        target_fp: (N_target,) uint64, at least one.
        target_lesion_px: (N_target,) integers, 0 to 57,600.
        k: targets kept per source; all of them where there are fewer.
        hamming_weight: ``w``, 0 to :data:`MAX_WEIGHT` (100 in the paper).
        after: called with the number of sources done so far, block by block; what it raises ends the work.
    """
    for name, prints, sizes in (("source", source_fp, source_lesion_px), ("target", target_fp, target_lesion_px)):
        if not len(prints) == len(sizes) > 0:
            raise ValueError(
                f"expected at least one {name} and a lesion size for each, got {len(prints)} fingerprints and "
                f"{len(sizes)} sizes"
            )
    if k < 1 or not 0 <= hamming_weight <= MAX_WEIGHT:
        raise ValueError(f"expected k ≥ 1 and a weight of 0 to {MAX_WEIGHT}, got {k} and {hamming_weight}")
    count, targets = len(source_fp), len(target_fp)
    k = min(k, targets)
    left = _signs(source_fp) * np.float32(-hamming_weight / 2)
    right = np.ascontiguousarray(_signs(target_fp).T)
    source_px, target_px = (px.astype(np.float32) for px in (source_lesion_px, target_lesion_px))
    index, distance = np.empty((2, count, k), np.int32)
    best, best_source = np.full(targets, np.inf, np.float32), np.zeros(targets, np.int32)
    both = np.empty((2, min(_ROWS, count), targets), np.float32)
    for start in range(0, count, _ROWS):
        rows = slice(start, min(start + _ROWS, count))
        block, lesion = both[:, : rows.stop - start]
        np.matmul(left[rows], right, out=block)
        block += np.abs(np.subtract(source_px[rows, None], target_px, out=lesion), out=lesion)
        index[rows] = _smallest(block, k)
        distance[rows] = np.take_along_axis(block, index[rows], axis=1) + BITS // 2 * hamming_weight
        closer = np.flatnonzero(block.min(axis=0) < best)  # an equal source further down does not replace
        best_source[closer] = start + block[:, closer].argmin(axis=0)
        best[closer] = block[best_source[closer] - start, closer]
        if after:
            after(rows.stop)
    return Nearest(index=index, distance=distance, source=best_source)


def hamming(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Differing bits of (N,) uint64 fingerprints, pair by pair; (N,) int32, 0 to 64."""
    return np.unpackbits(_bytes(first ^ second), axis=1).sum(axis=1, dtype=np.int32)


def _bytes(fingerprints: np.ndarray) -> np.ndarray:
    """(N,) uint64 → (N, 8) uint8, lowest byte first."""
    return np.ascontiguousarray(fingerprints, "<u8").view(np.uint8).reshape(-1, 8)


def _signs(fingerprints: np.ndarray) -> np.ndarray:
    """(N,) uint64 → (N, 64) float32, 1 where the bit is set and -1 where not."""
    return np.unpackbits(_bytes(fingerprints), axis=1, bitorder="little").astype(np.float32) * 2 - 1


def _smallest(block: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k smallest values of each row, ascending, equals by column; (rows, N) float32 → (rows, k).

    The k-th smallest of the minima of at least k groups of columns bounds the k-th smallest value, and few others
    are below it. That takes one pass over the block, where partitioning whole rows takes most of the time.
    """
    rows, columns = block.shape
    groups = max(k, min(columns, _GROUPS))
    each = columns // groups
    minima = block[:, : each * groups].reshape(rows, each, groups).min(axis=1)
    bound = np.partition(minima, k - 1, axis=1)[:, k - 1 : k]
    below = np.flatnonzero(block <= bound)
    row, column = np.divmod(below, columns)
    order = np.lexsort((block[row, column], row))  # stable, and columns ascend already
    first = np.searchsorted(row, np.arange(rows))
    return column[order[first[:, None] + np.arange(k)]]
