"""A slice's fingerprint: 64 bits that say how its lowest spatial frequencies compare (section 3.1.4, eqs. 8-14)."""

import mmap
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from scipy.fft import dct

from amd_das.preprocessing.grid import SIZE

SCALED: Final = 32
"""Side of the image of which the cosine transform is taken (paper)."""

BLOCK: Final = 8
"""Side of the block of lowest frequencies that is kept (paper)."""

BITS: Final = BLOCK * BLOCK
"""Length of a fingerprint; the largest Hamming distance."""

_ROUNDING = 1e-6
"""Grey levels. Coefficients reach 8160 and float64 errs by about 1e-11, so what exceeds the mean by less equals it."""

_CHUNK = 256  # slices between two calls of `after`
_BATCH = 8  # slices that are float64 at a time: they stay in the processor's cache


def fingerprints(images: np.ndarray, *, after: Callable[[int], None] | None = None) -> np.ndarray:
    """Fingerprints of slices.

    The image is scaled to 32 × 32 by area, its orthonormal DCT-II taken, and each of the 8 × 8 lowest coefficients,
    the constant one among them, compared with their mean. A bit is 1 where the coefficient is above the mean; one
    that equals it is 0 (``image > threshold``, as the authors and image libraries binarise), so a black slice has
    no bit set. Every slice is computed by itself in float64, so neighbours and chunks do not change it.

    Args:
        images: (N, 240, 240) uint8; may be mapped from disk, and is then never in memory as a whole.
        after: called with the number of slices done so far, every few hundred of them; what it raises ends the work.

    Returns:
        (N,) uint64. Bit 0 is the constant coefficient, then row by row of the block.
    """
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
        raise ValueError(f"expected (N, {SIZE}, {SIZE}) uint8, got {images.shape} {images.dtype}")
    found = np.empty(len(images), np.uint64)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        found[start : start + len(chunk)] = _packed(_low_frequencies(chunk))
        release(images)
        if after:
            after(start + len(chunk))
    return found


def release(images: np.ndarray) -> None:
    """Let go of the pages of a read-only memory map that were read so far; they stay in the system's file cache.

    A pass over a store would otherwise grow the process to the size of the store. Other arrays are left alone.
    """
    owner: object = images
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and not images.flags.writeable:
        owner.madvise(mmap.MADV_DONTNEED)


def _low_frequencies(images: np.ndarray) -> np.ndarray:
    """(N, 240, 240) uint8 → (N, 64) float64, the block B' = A f Aᵀ of each, row by row."""
    matrix = _area_and_cosines()
    grey = np.empty((_BATCH, SIZE, SIZE))
    blocks = np.empty((len(images), BLOCK, BLOCK))
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        grey[: len(batch)] = batch
        np.matmul(matrix @ grey[: len(batch)], matrix.T, out=blocks[start : start + len(batch)])
    return blocks.reshape(len(images), BITS)


def _packed(blocks: np.ndarray) -> np.ndarray:
    """(N, 64) float64 → (N,) uint64, bit i set where value i is above the row's mean."""
    above = blocks - blocks.mean(axis=1, keepdims=True) > _ROUNDING
    return np.packbits(above, axis=1, bitorder="little").view("<u8")[:, 0]


@cache
def _area_and_cosines() -> np.ndarray:
    """(8, 240) float64 A: scaling by area and the first rows of the orthonormal DCT-II in one, for either side of f.

    240 pixels make 32 of 7.5 each: every other pixel in eight counts half for one and half for the next.
    """
    edge = np.linspace(0, SIZE, SCALED + 1)[:, None]
    pixel = np.arange(SIZE)
    overlap = np.minimum(edge[1:], pixel + 1) - np.maximum(edge[:-1], pixel)
    return np.ascontiguousarray(dct(overlap.clip(min=0) * (SCALED / SIZE), axis=0, norm="ortho")[:BLOCK])
