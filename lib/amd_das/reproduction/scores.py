"""A network on labelled slices: Dice in the paper's way, over slices with a lesion, over whole heads; false alarms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import fmean, stdev

import numpy as np
from torch import nn

from amd_das.errors import TrainingError
from amd_das.evaluation.metrics import slice_scores
from amd_das.segmentation.scores import chunks, predict
from amd_das.slices import SliceStore, network_image

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Percent; None where there is nothing to score."""

    paper_way: float
    """Mean Dice over all slices, smoothing 1 above and below: empty against empty counts as 100."""

    lesions: float | None
    """Mean Dice over the slices that show a lesion, without smoothing."""

    heads: float | None
    """Mean Dice over the heads that show a lesion, each as a whole."""

    false_slices: float | None
    """Part of the slices without a lesion on which something is marked."""


def score(network: nn.Module, store: SliceStore, indices: np.ndarray | None = None, threshold: float = 0.5) -> Scores:
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
    paper, dice, true, said = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("paper_dice", "dice", "pixels_ref", "pixels_pred")
    )
    dice = np.nan_to_num(dice)
    both = np.where(true > 0, dice * (said + true) / 2, 0)  # by what Dice is
    in_head = [np.bincount(store.case_index[rows], pixels) for pixels in (both, said, true)]
    both_h, said_h, true_h = (pixels[in_head[2] > 0] for pixels in in_head)
    return Scores(
        paper_way=_percent(paper) or 0.0,
        lesions=_percent(dice[true > 0]),
        heads=_percent(2 * both_h / (said_h + true_h)),
        false_slices=_percent(said[true == 0] > 0),
    )


def silence(store: SliceStore) -> Scores:
    """What a network would score that never marks anything."""
    px = store.lesion_px
    zero = 0.0 if px.any() else None
    none_false = 0.0 if (px == 0).any() else None
    return Scores(paper_way=_percent(1 / (px + 1)) or 0.0, lesions=zero, heads=zero, false_slices=none_false)


def _percent(parts: np.ndarray) -> float | None:
    return round(100 * float(parts.mean()), 2) if len(parts) else None


def mean(scores: Sequence[Scores]) -> Scores:
    """Over folds or seeds, of those where there was something to score."""
    return Scores(**_each(scores, fmean, 1))  # type: ignore[arg-type]


def deviation(scores: Sequence[Scores]) -> Scores | None:
    """Standard deviation over seeds; None of fewer than two."""
    return Scores(**_each(scores, stdev, 2)) if len(scores) > 1 else None  # type: ignore[arg-type]


def _each(scores: Sequence[Scores], how: Callable[[list[float]], float], least: int) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in (field.name for field in fields(Scores)):
        values = [value for one in scores if (value := getattr(one, name)) is not None]
        found[name] = round(how(values), 2) if len(values) >= least else None
    return found
