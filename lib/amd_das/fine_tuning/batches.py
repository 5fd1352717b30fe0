"""What a fine-tuning step sees: labelled CT, and beside it pseudo-CT so that what was known is not forgotten.

A batch is a pure function of seed and step, so a continued training sees what an uninterrupted one would have.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from amd_das.errors import TrainingError
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.segmentation.augment import augment
from amd_das.segmentation.decks import Deck, Rows, dealt
from amd_das.slices import SliceStore

_CT, _PSEUDO_CT, _CHANGES, _WRONG = range(11, 15)  # keep what is drawn for each apart


class LabelledBatch(NamedTuple):
    """One batch; the engine moves it to the device."""

    image: Tensor
    """(N, 1, P, P) float32 in [-1, 1]; labelled CT first, then pseudo-CT."""

    label: Tensor
    """(N, 1, P, P) float32, 0 or 1."""


Slices = tuple[SliceStore, np.ndarray]
"""A labelled store, and (n,) of its slices."""


def labelled_batches(
    ct: Slices, pseudo_ct: Slices | None, config: FineTuneConfig, *, wrong: np.ndarray | None = None
) -> Callable[[int, int], LabelledBatch]:
    """Batches of labelled CT, and of pseudo-CT where there is some: (step, size) → batch.

    Args:
        ct: to learn from.
        pseudo_ct: the same.
        config: how batches are made.
        wrong: (n,) slices of the CT which the model in use outlines wrongly; None where that is not known.

    Raises:
        TrainingError: there is no slice to learn from.
    """
    if not len(ct[1]):
        raise TrainingError("no labelled CT slice is left to learn from; label more scans")
    rows = mixed(*ct, config.lesion_share, (config.seed, _CT))
    if wrong is not None and len(wrong):
        rows = dealt(config.wrong_share, Deck(wrong, (config.seed, _WRONG)).deal, rows)
    parts = [(ct[0], rows, _CT)]
    if pseudo_ct is not None and len(pseudo_ct[1]) and config.pseudo_ct_share > 0:
        parts.append((pseudo_ct[0], mixed(*pseudo_ct, config.lesion_share, (config.seed, _PSEUDO_CT)), _PSEUDO_CT))

    def batch_at(step: int, size: int) -> LabelledBatch:
        second = min(round(size * config.pseudo_ct_share), size - 1) if len(parts) > 1 else 0
        images, labels = [], []
        for (store, rows, number), count in zip(parts, (size - second, second), strict=False):
            if not count:
                continue
            chosen = rows(np.arange(step * count, (step + 1) * count))
            rng = np.random.default_rng([config.seed, _CHANGES, number, step])
            assert store.labels is not None
            image, label = augment(store.images[chosen], store.labels[chosen], config.augment, rng, patch=config.patch)
            images.append(image)
            labels.append(label)
        return LabelledBatch(torch.cat(images), torch.cat(labels))

    return batch_at


def mixed(store: SliceStore, indices: np.ndarray, share: float, seed: tuple[int, ...]) -> Rows:
    """Slices in an order in which the share of lesions is as asked for, where there are both kinds."""
    shows = store.lesion_px[indices] > 0
    if not share or shows.all() or not shows.any():
        return Deck(indices, seed).deal
    return dealt(share, Deck(indices[shows], (*seed, 1)).deal, Deck(indices[~shows], (*seed, 2)).deal)
