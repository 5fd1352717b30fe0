"""A table's rows, one after the other: trained by the pipeline where that is not done, scored on labelled CT."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from amd_das import __version__
from amd_das.errors import ConfigError, TrainingError
from amd_das.files import write_whole
from amd_das.networks.fcn import Fcn
from amd_das.pacs.config import PacsConfig
from amd_das.phantom.files import write_cases
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.run import run as run_pipeline
from amd_das.pipeline.stages import SLICES
from amd_das.pipeline.steps import PipelineCallback
from amd_das.reproduction.rows import ROWS, SUPERVISED, SupervisedRow, Table, check_table
from amd_das.reproduction.scores import Dice, mean, score
from amd_das.reproduction.supervised import FOLDS, build, folds, train
from amd_das.segmentation.selection import best_weights
from amd_das.slices import SliceStore
from amd_das.slices.prepare import prepare
from amd_das.training.progress import StopCheck

TEST_SEED: Final = 300_000
"""Of the phantom heads that are scored; none is trained on."""

LEAST_TEST_HEADS: Final = 6
_FOLDS_FILE: Final = "table5-folds.json"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row."""

    name: str
    paper: float
    dice: Dice
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where data lies and work goes."""

    workdir: Path
    source: Path | None = None
    """Labelled MRI; None for phantoms."""

    target: Path | PacsConfig | None = None
    """CT without labels; None for phantoms."""

    test: Path | None = None
    """Labelled CT that is scored; None for phantoms, which do only where the target is phantoms."""

    def __post_init__(self) -> None:
        if (self.target is None) != (self.test is None):
            raise ConfigError(
                "give --target and --test together: a network that knows one kind of CT is not scored on another. "
                "--test is a folder of labelled CT, such as CT-ICH or BHSD; without both, phantoms stand in"
            )


def reproduce(
    table: str,
    config: PipelineConfig,
    places: Places,
    *,
    processes: int | None = None,
    progress: PipelineCallback | None = None,
    should_stop: StopCheck | None = None,
    after: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Train and score a table's rows, and write ``<workdir>/<table>-<preset>.json`` after each.

    What is made stays in the working folder: steps that rows share are made once, and an interrupted run continues.

    Args:
        table: "table2" to "table5".
        config: usually a preset; every row is a change of it.
        places: data and working folder.
        processes: that prepare cases.
        progress: told by the pipeline.
        should_stop: asked often.
        after: told of each row.

    Raises:
        ConfigError: no such table.
        TrainingError, TrainingStopped, InputError, NotFoundError: see :func:`amd_das.pipeline.run.run`.
    """
    name = check_table(table)
    stopping = should_stop or (lambda: False)
    test = _test_store(config, places, processes, stopping)

    def pipeline(row: PipelineConfig) -> Mapping[str, Path]:
        done = run_pipeline(
            row,
            places.workdir / "work",
            places.workdir / "models",
            source=places.source,
            target=places.target,
            until="segmentation",
            processes=processes,
            progress=progress,
            should_stop=should_stop,
        )
        return {step: made.folder for step, made in done.steps.items()}

    rows = ROWS[name] if name != "table5" else SUPERVISED
    supervised = _Supervised(config, test, places.workdir, stopping, pipeline)
    results = []
    for row in rows:
        began = time.monotonic()
        if isinstance(row, SupervisedRow):
            dice = supervised.score(row)
        else:
            changed = row.change(config)
            dice = score(_network(changed, pipeline(changed)["segmentation"]), test)
        result = Result(name=row.name, paper=row.paper, dice=dice, seconds=round(time.monotonic() - began, 1))
        results.append(result)
        _write(places, name, config, results)
        if after is not None:
            after(result)
    return results


def _network(config: PipelineConfig, folder: Path) -> Fcn:
    network = Fcn(config.segmentation.network)
    network.load_state_dict(best_weights(folder))
    return network.eval()


class _Supervised:
    """The rows of Table 5, with what they share: the pipeline's output, trainings before, folds that are done."""

    def __init__(
        self,
        config: PipelineConfig,
        test: SliceStore,
        workdir: Path,
        should_stop: StopCheck,
        pipeline: Callable[[PipelineConfig], Mapping[str, Path]],
    ) -> None:
        self.config, self.test, self.should_stop = config, test, should_stop
        self.file = workdir / _FOLDS_FILE
        self.key = hashlib.sha256(f"{test.digest()} {asdict(config)} {__version__}".encode()).hexdigest()[:12]
        self._pipeline = pipeline
        self._folders: Mapping[str, Path] | None = None

    def score(self, row: SupervisedRow) -> Dice:
        """Mean over the folds; each is trained on the others."""
        parts = folds(self.test)
        start: Mapping[str, Tensor] | None = None
        found = []
        for number, held in enumerate(parts):
            done = self._done()
            key = f"{self.key} {row.name} {number}"
            if key not in done:
                start = start if start is not None else self._start(row)
                network = build(row.network, self.config)
                if start:
                    network.load_state_dict(start)
                rest = np.sort(np.concatenate([part for other, part in enumerate(parts) if other != number]))
                train(network, self.test, rest, self.config, self.should_stop)
                done[key] = score(network, self.test, held).record()
                write_whole(self.file, (json.dumps(done, indent=1) + "\n").encode())
            found.append(Dice(**done[key]))
        return mean(found)

    def _start(self, row: SupervisedRow) -> Mapping[str, Tensor]:
        """The weights a row begins with; empty for random ones."""
        if row.transfer == "none":
            return {}
        if self._folders is None:
            self._folders = self._pipeline(self.config)
        if row.transfer == "amd_das":
            return best_weights(self._folders["segmentation"])
        step = "source" if row.transfer == "mri" else "translation"
        store = SliceStore.open(self._folders[step] / SLICES)
        return train(build(row.network, self.config), store, np.arange(len(store)), self.config, self.should_stop)

    def _done(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.file.read_text())
            return found
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.file} is damaged ({error}); remove it, its folds are trained again") from error


def _test_store(config: PipelineConfig, places: Places, processes: int | None, should_stop: StopCheck) -> SliceStore:
    """Labelled CT as slices, prepared once."""
    folder = places.workdir / f"test-{config.name}"
    masks, place = None, places.test
    if place is None:
        place, masks = folder / "phantoms", folder / "phantoms" / "masks"
        write_cases(
            count=max(LEAST_TEST_HEADS, FOLDS, config.target_heads // 10),
            kind="ct",
            format="nifti",
            seed=TEST_SEED,
            directory=place,
            for_training=True,
            resume=True,
            processes=processes,
        )
    cases = [case for case in cases_of(place, "target", labelled=True, masks=masks) if case.mask]
    if not cases:
        raise TrainingError(f"{place} holds no labelled CT; expected a set with masks, or images/ with masks/")
    settings = replace(config.prepare, validation_share=0.0)
    prepare(cases, folder / SLICES, "target", settings, processes=processes, should_stop=should_stop)
    return SliceStore.open(folder / SLICES)


def _write(places: Places, table: Table, config: PipelineConfig, results: list[Result]) -> None:
    record = {
        "table": table,
        "preset": config.name,
        "data": "phantoms" if places.test is None else "given",
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}",
        "version": __version__,
        "rows": [asdict(result) for result in results],
    }
    path = places.workdir / f"{table}-{config.name}.json"
    write_whole(path, (json.dumps(record, indent=2) + "\n").encode())
