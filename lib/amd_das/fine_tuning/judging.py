"""How a network does on held-out labelled slices, while it learns."""

from typing import Final

import numpy as np
from torch import nn

from amd_das.errors import TrainingError
from amd_das.fine_tuning.batches import Slices
from amd_das.segmentation.config import SelectionConfig
from amd_das.segmentation.scores import chunks, pooled_dice, predict, spread
from amd_das.slices import network_image

FALSE_ML_COSTS: Final = 0.02
"""Dice that each mL of false positives in a held-out scan without a bleed costs (ours)."""

LABELLED: Final = "mean Dice on held-out labelled CT, less false positives where there is no bleed"


def wrong_slices(network: nn.Module, ct: Slices, least_px: int) -> np.ndarray:
    """Those of the slices, (n,), where at least so many pixels of a network's outline differ from the label."""
    store, indices = ct
    config = SelectionConfig()
    assert store.labels is not None
    found = []
    for rows in chunks(indices, config.batch):
        pred = predict(network, network_image(store.images[rows]), config.threshold).numpy()
        differ = np.count_nonzero(pred != (store.labels[rows] > 0), axis=(1, 2))
        found.append(rows[differ >= least_px])
    return np.concatenate(found) if found else indices


class HeldOutJudge:
    """Scores a network by the held-out cases; for :class:`amd_das.segmentation.selection.BestKeeper`."""

    criterion = LABELLED

    def __init__(self, ct: Slices, pseudo_ct: Slices | None, *, most: int) -> None:
        """Look at no more than ``most`` slices of each.

        Raises:
            TrainingError: nothing is held out.
        """
        if not len(ct[1]):
            raise TrainingError("no labelled slice is held out, so nothing says when to stop")
        self._store, self._rows = ct[0], spread(ct[1], most)
        self._pseudo_ct = pseudo_ct
        self._config = SelectionConfig(slices=96)

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The score, by which networks are ranked, and what it was made of."""
        store, config = self._store, self._config
        assert store.labels is not None
        counts = {int(case): np.zeros(3) for case in np.unique(store.case_index[self._rows])}
        for rows in chunks(self._rows, config.batch):
            pred = predict(network, network_image(store.images[rows]), config.threshold).numpy()
            label = np.asarray(store.labels[rows] > 0)
            for case, said, true in zip(store.case_index[rows], pred, label, strict=True):
                counts[int(case)] += (said & true).sum(), said.sum(), true.sum()
        dice = [2 * both / (said + true) for both, said, true in counts.values() if true]
        false_ml = [
            said * store.cases[case].spacing_mm[0] / 1000 for case, (_, said, true) in counts.items() if not true
        ]
        found = {"false_ml": float(np.mean(false_ml))} if false_ml else {}
        if dice:
            found["dice"] = float(np.mean(dice))
        if self._pseudo_ct is not None and len(self._pseudo_ct[1]):
            found["pseudo_ct_dice"] = pooled_dice(network, *self._pseudo_ct, config)
        return {"score": found.get("dice", 0.0) - FALSE_ML_COSTS * found.get("false_ml", 0.0), **found}


class LastJudge:
    """Where nothing is held out: the last network is the one that is kept."""

    criterion = "a fixed number of steps, since no labelled patient is held out"

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Nothing can be said; asked once, at the end."""
        return {"score": 0.0}
