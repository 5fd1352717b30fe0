"""How unsure a network that works slice by slice is of a volume.

Entropy asks each pixel, as in uncertainty sampling (Settles 2009, section 3.1); consistency asks whether the mirrored
slice, which shows the same, is answered in the same way.
"""

import math
from typing import Final

import numpy as np
from scipy.special import entr

IN_QUESTION: Final = 0.05
"""Pixels of at least this probability are in question (ours): the rest of the brain would drown them."""

WORST_SLICES: Final = 3
"""So many slices, the most uncertain ones, speak for a volume (ours): most show nothing."""

_FEWEST_PX: Final = 10
"""A slice with fewer pixels in question is not asked: single pixels are noise (ours)."""


def slice_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Mean entropy, in bits, of the pixels in question of each slice.

    Args:
        probabilities: (Z, H, W) in [0, 1].

    Returns:
        (Z,) in [0, 1]; 0 where nothing is in question.
    """
    chance = probabilities.astype(np.float64)
    bits = (entr(chance) + entr(1 - chance)) / math.log(2)
    asked = probabilities >= IN_QUESTION
    count = asked.sum((1, 2))
    mean = (bits * asked).sum((1, 2)) / np.maximum(count, 1)
    return np.where(count >= _FEWEST_PX, mean, 0.0)


def volume_entropy(probabilities: np.ndarray) -> float:
    """Mean of the largest slice entropies of (Z, H, W) probabilities, in [0, 1]."""
    found = np.sort(slice_entropy(probabilities))[-WORST_SLICES:]
    return float(found.mean()) if len(found) else 0.0


def flip_consistency(plain: np.ndarray, mirrored: np.ndarray, threshold: float) -> float:
    """Dice between what is said of the slices and of their mirror images, in [0, 1]; 1 where neither says anything.

    Args:
        plain: (Z, H, W) probabilities.
        mirrored: those of the mirrored slices, mirrored back.
        threshold: probability from which a pixel counts.
    """
    first, second = plain >= threshold, mirrored >= threshold
    total = int(first.sum() + second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0
