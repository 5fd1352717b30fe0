"""Choosing a checkpoint: networks are judged now and then as they learn, and the best is kept."""

import io
import json
import logging
import pickle
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from amd_das.errors import ModelError, NotFoundError, TrainingError
from amd_das.files import write_whole
from amd_das.segmentation.config import SelectionConfig
from amd_das.segmentation.learner import AdaptationLearner
from amd_das.segmentation.scores import bright_clusters, chunks, pooled_dice, score, spread, target_agreement
from amd_das.slices import SliceStore

logger = logging.getLogger(__name__)

BEST, RECORD = "best.pt", "selection.json"
_PARTS: Final = {"step", "score", "criterion", "weights"}

TARGET_ONLY: Final = "agreement on held-out target slices; no labels"
LABELLED: Final = "Dice on labelled target slices"
UNLABELLED: Final = "Dice on held-out source slices and agreement on held-out target slices; no target labels"
SOURCE_ONLY: Final = "Dice on held-out source slices; no target labels, and no held-out target slice as bright as blood"


class Judging(Protocol):
    """What scores networks, always by the same criterion."""

    criterion: str
    """In words, for the record."""

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Numbers, among them "score", of which more is better."""


class Judge:
    """Scores networks, always by the same slices and the same criterion."""

    def __init__(
        self,
        source: tuple[SliceStore, np.ndarray] | None,
        target: tuple[SliceStore, np.ndarray],
        config: SelectionConfig | None = None,
        *,
        labelled_target: tuple[SliceStore, np.ndarray] | None = None,
    ) -> None:
        """Take the slices that were not learnt from, each a store and (n,) indices.

        Args:
            source: labelled; None where training goes on with CT alone.
            target: CT; labels are not looked at.
            config: how networks are judged.
            labelled_target: CT with labels, if the user has some: they alone decide then.

        Raises:
            TrainingError: there is nothing to judge by.
        """
        self._source, self._target, self._labelled = source, target, labelled_target
        self._config = config or SelectionConfig()
        if source and not len(source[1]):
            raise TrainingError("no source slice was held out; networks cannot be judged. Hold some patients out")
        store, indices = target[0], spread(target[1], self._config.slices)
        bright = any(
            bright_clusters(store.images[rows]).sum((1, 2)).max() >= self._config.cluster_px
            for rows in chunks(indices, self._config.batch)
        )
        without_labels = (UNLABELLED if bright else SOURCE_ONLY) if source else TARGET_ONLY
        self.criterion = LABELLED if labelled_target else without_labels
        """What the score is, in words, for the record."""

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The score, by which networks are ranked, and what it was made of."""
        source = pooled_dice(network, *self._source, self._config) if self._source else None
        target = target_agreement(network, *self._target, self._config)
        found = {
            **({"source_dice": source} if source is not None else {}),
            **({**target._asdict(), "target": target.score} if target else {}),
        }
        if self._labelled:
            dice = pooled_dice(network, *self._labelled, self._config)
            return {"score": dice, "target_dice": dice, **found}
        return {"score": score(source, target, self._config), **found}


class BestKeeper:
    """Judges a learner's network whenever it is called, and keeps the weights of the best; `fit` calls it ``validate``.

    In its folder are ``best.pt`` (see :func:`best_weights`) and ``selection.json`` (the criterion, the best step, and
    a line for each step that was judged). A training that is continued continues both: a step that is judged again
    replaces its line.
    """

    def __init__(self, learner: AdaptationLearner, judge: Judging, workdir: Path) -> None:
        """Take up what an earlier run left in ``workdir``, if it went by the same criterion.

        Args:
            learner: its ``network`` is judged, and kept by its number of steps.
            judge: gives the score, of which more is better.
            workdir: made where it is not there.
        """
        self._learner, self._judge, self._workdir = learner, judge, workdir
        self._history: dict[int, dict[str, float]] = {}
        self._best: tuple[float, int] | None = None
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._take_up()

    def __call__(self) -> dict[str, float]:
        """Judge the network as it is now; returns the judge's numbers and the best score so far."""
        step, found = self._learner.steps_done, self._judge(self._learner.network)
        self._history = {known: line for known, line in self._history.items() if known < step} | {step: found}
        if self._best is None or found["score"] > self._best[0]:
            self._best = (found["score"], step)
            self._write_weights(*self._best)
            logger.info("step %d is the best so far: score %.4f", step, found["score"])
        self._write_record(*self._best)
        return {**found, "best_score": self._best[0]}

    def looks_since_best(self) -> int:
        """How many times networks have been judged since the best one."""
        return sum(step > self._best[1] for step in self._history) if self._best else 0

    def _take_up(self) -> None:
        if not (self._workdir / BEST).exists() or not (self._workdir / RECORD).exists():
            return
        best = _load(self._workdir / BEST)
        if best["criterion"] != self._judge.criterion:
            logger.warning(
                "networks were chosen by %s, now by %s: begun anew", best["criterion"], self._judge.criterion
            )
            return
        record = json.loads((self._workdir / RECORD).read_bytes())
        self._history = {line.pop("step"): line for line in record["history"]}
        self._best = (best["score"], best["step"])

    def _write_weights(self, score: float, step: int) -> None:
        weights = {name: value.detach().cpu() for name, value in self._learner.network.state_dict().items()}
        content = io.BytesIO()
        torch.save({"step": step, "score": score, "criterion": self._judge.criterion, "weights": weights}, content)
        write_whole(self._workdir / BEST, content.getvalue())

    def _write_record(self, score: float, step: int) -> None:
        record = {
            "criterion": self._judge.criterion,
            "best": {"step": step, "score": score},
            "history": [{"step": scored, **line} for scored, line in sorted(self._history.items())],
        }
        write_whole(self._workdir / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def best_weights(workdir: Path) -> dict[str, Tensor]:
    """The state of the best network, on the CPU.

    Raises:
        NotFoundError: none was kept.
        ModelError: the file is damaged.
    """
    return _load(workdir / BEST)["weights"]


def _load(path: Path) -> dict[str, Any]:
    try:
        best = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is not there: no network was kept; run the training with validation") from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ModelError(f"{path} is damaged ({error}); remove it and {RECORD}, and train again") from error
    if not isinstance(best, dict) or set(best) != _PARTS:
        raise ModelError(f"{path} is not what a training keeps; remove it and {RECORD}, and train again")
    return best
