"""The rows of Table 5: five folds of labelled CT, each scored by what was trained on the others."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor

from amd_das import __version__
from amd_das.errors import TrainingError
from amd_das.files import write_whole
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.stages import SLICES
from amd_das.reproduction.rows import SupervisedRow
from amd_das.reproduction.scores import Scores, mean, score
from amd_das.reproduction.supervised import build, train
from amd_das.segmentation.selection import best_weights
from amd_das.slices import SliceStore
from amd_das.training.progress import StopCheck

FOLDS: Final = 5
"""By patient (paper)."""

_FILE: Final = "folds.json"

Told = Callable[[str, int, int], None]
"""Of what, how many are done, how many there are."""


def folds(store: SliceStore, count: int = FOLDS) -> list[np.ndarray]:
    """The slices of each fold; no patient is in two, and each fold gets its share of those who bleed.

    Raises:
        TrainingError: there are fewer patients than folds.
    """
    bleeds: dict[str, bool] = {}
    for case in store.cases:
        bleeds[case.patient] = bleeds.get(case.patient, False) or any(case.lesion_px)
    if len(bleeds) < count:
        raise TrainingError(
            f"{store.directory} holds {len(bleeds)} patient(s); {count} folds need at least as many. Add labelled CT"
        )
    order = sorted(bleeds, key=lambda one: (not bleeds[one], hashlib.sha256(one.encode()).hexdigest()))
    fold_of = {patient: number % count for number, patient in enumerate(order)}
    fold = np.array([fold_of[case.patient] for case in store.cases])[store.case_index]
    return [np.flatnonzero(fold == number) for number in range(count)]


class CrossValidation:
    """Rows of one seed, with what they share: the pipeline's output, and the folds and trainings that are done."""

    def __init__(
        self,
        config: PipelineConfig,
        test: SliceStore,
        workdir: Path,
        pipeline: Callable[[], Mapping[str, Path]],
        *,
        tell: Told,
        should_stop: StopCheck,
    ) -> None:
        """``pipeline`` makes the whole method and gives each step's folder; it is asked when a row needs it."""
        self.config, self.test, self.should_stop, self.tell = config, test, should_stop, tell
        self.file = workdir / _FILE
        decides = {
            "test": test.digest(),
            "segmentation": asdict(config.segmentation),
            "batches": asdict(config.batches),
            "steps": config.segmentation_fit.steps,
            "batch": config.segmentation_fit.batch,
            "seed": config.seed,
            "version": __version__,
        }
        self._decides = json.dumps(decides, sort_keys=True)
        self._pipeline = pipeline
        self._folders: Mapping[str, Path] | None = None

    def key(self, row: SupervisedRow) -> str:
        """Of everything that decides a row; asks for the pipeline where the row begins with its output."""
        begins = {"none": "", "mri": "source", "synthetic_ct": "translation", "amd_das": "segmentation"}[row.transfer]
        start = self._made()[begins].name if begins else ""
        return hashlib.sha256(f"{self._decides} {row.network} {start}".encode()).hexdigest()[:12]

    def score(self, row: SupervisedRow) -> Scores:
        """Mean over the folds; those that are done are not trained again.

        Raises:
            TrainingStopped: it was asked to; the folds that are done stay.
            TrainingError: there are too few patients, or what is kept is damaged.
        """
        parts, key = folds(self.test), self.key(row)
        start: Mapping[str, Tensor] | None = None
        found = []
        for number, held in enumerate(parts):
            done = self._done()
            fold = f"{key}-{number}"
            if fold not in done:
                start = start if start is not None else self._start(row)
                network = build(row.network, self.config)
                if start:
                    network.load_state_dict(start)
                rest = np.sort(np.concatenate([part for other, part in enumerate(parts) if other != number]))
                name = f"fold {number + 1} of {len(parts)}"
                train(network, self.test, rest, self.config, lambda *at: self.tell(name, *at), self.should_stop)  # noqa: B023
                done[fold] = asdict(score(network, self.test, held))
                write_whole(self.file, (json.dumps(done, indent=1) + "\n").encode())
            found.append(Scores(**done[fold]))
        return mean(found)

    def _start(self, row: SupervisedRow) -> Mapping[str, Tensor]:
        """The weights a row begins with; empty for random ones."""
        if row.transfer == "none":
            return {}
        if row.transfer == "amd_das":
            return best_weights(self._made()["segmentation"])
        store = SliceStore.open(self._made()["source" if row.transfer == "mri" else "translation"] / SLICES)
        network, rows = build(row.network, self.config), np.arange(len(store))
        return train(network, store, rows, self.config, lambda *at: self.tell("before", *at), self.should_stop)

    def _made(self) -> Mapping[str, Path]:
        if self._folders is None:
            self._folders = self._pipeline()
        return self._folders

    def _done(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.file.read_text())
            return found
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.file} is damaged ({error}); remove it, its folds are trained again") from error
