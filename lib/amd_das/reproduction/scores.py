"""A network's Dice on labelled slices, in the paper's way and over slices with a lesion alone."""

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from torch import nn

from amd_das.errors import TrainingError
from amd_das.evaluation.metrics import slice_scores
from amd_das.segmentation.scores import chunks, predict
from amd_das.slices import SliceStore, network_image

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Dice:
    """Percent."""

    paper_way: float
    """Mean over all slices, smoothing 1 above and below: empty against empty counts as 100."""

    lesions: float | None
    """Mean over the slices that show a lesion, without smoothing; None where there is none."""

    slices: int
    lesion_slices: int

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def score(network: nn.Module, store: SliceStore, indices: np.ndarray | None = None, threshold: float = 0.5) -> Dice:
    """Score a network.

    Args:
        network: image (N, 1, H, W) in [-1, 1] → an output with ``logits`` (N, 1, H, W).
        store: labelled.
        indices: (n,) slices; None for all.
        threshold: probability from which a pixel is lesion.

    Raises:
        TrainingError: the store has no labels, or there is no slice.
    """
    if store.labels is None:
        raise TrainingError(f"{store.directory} has no labels to score against; give labelled CT")
    rows = np.arange(len(store)) if indices is None else indices
    if not len(rows):
        raise TrainingError("there is no slice to score")
    found = [
        slice_scores(predict(network, network_image(store.images[some]), threshold).numpy(), store.labels[some])
        for some in chunks(rows, _BATCH)
    ]
    paper = np.concatenate([one.paper_dice for one in found])
    shows = np.concatenate([one.pixels_ref > 0 for one in found])
    dice = np.nan_to_num(np.concatenate([one.dice for one in found])[shows])
    return Dice(
        paper_way=round(100 * float(paper.mean()), 2),
        lesions=round(100 * float(dice.mean()), 2) if shows.any() else None,
        slices=len(rows),
        lesion_slices=int(shows.sum()),
    )


def mean(scores: list[Dice]) -> Dice:
    """Over folds."""
    lesions = [one.lesions for one in scores if one.lesions is not None]
    return Dice(
        paper_way=round(fmean(one.paper_way for one in scores), 2),
        lesions=round(fmean(lesions), 2) if lesions else None,
        slices=sum(one.slices for one in scores),
        lesion_slices=sum(one.lesion_slices for one in scores),
    )
