"""A table's rows, one after the other: trained by the pipeline where that is not done, scored on labelled CT."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amd_das import __version__
from amd_das.errors import ConfigError, TrainingError
from amd_das.networks.fcn import Fcn
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.run import run as run_pipeline
from amd_das.pipeline.stages import SLICES
from amd_das.pipeline.steps import PipelineCallback, PipelineProgress, StepResult, only_one
from amd_das.reproduction import phantoms
from amd_das.reproduction.cross_validation import CrossValidation
from amd_das.reproduction.machine import commit, cores, machine
from amd_das.reproduction.presets import seeded
from amd_das.reproduction.report import Report, Result, earlier
from amd_das.reproduction.rows import Row, SupervisedRow, check_table, rows_of
from amd_das.reproduction.scores import Scores, score, silence
from amd_das.segmentation.selection import best_weights
from amd_das.slices import SliceStore
from amd_das.slices.prepare import prepare
from amd_das.training.device import choose
from amd_das.training.progress import StopCheck

_HEADS_PER_PROCESS = 12
"""Phantom heads from which on a process more is worth its start."""


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

    @property
    def phantoms(self) -> bool:
        """Whether phantoms are what is scored."""
        return self.test is None


def reproduce(
    table: str,
    config: PipelineConfig,
    places: Places,
    *,
    seeds: Sequence[int] = (0,),
    processes: int | None = None,
    progress: PipelineCallback | None = None,
    should_stop: StopCheck | None = None,
    after: Callable[[Result], None] | None = None,
) -> Report:
    """Train and score a table's rows, and write ``<workdir>/<table>-<preset>.json`` and ``.md`` after each.

    What is made stays in the working folder, for all tables: phantom heads are rendered once, steps that rows share are
    made once, and an interrupted run continues.

    Args:
        table: "table2" to "table5", or "ablation".
        config: usually a preset; every row is a change of it.
        places: data and working folder.
        seeds: each row is trained with each of them, all rows with the first, then with the next.
        processes: that prepare cases.
        progress: told by the pipeline.
        should_stop: asked often.
        after: told of each row.

    Raises:
        ConfigError: no such table, or no seed.
        TrainingError, TrainingStopped, InputError, NotFoundError: see :func:`amd_das.pipeline.run.run`.
    """
    name = check_table(table)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ConfigError(f"seeds {list(seeds)}: expected at least one, each 0 or more and each once")
    with only_one(places.workdir):
        work = _Work(config, places, processes, progress, should_stop)
        rows = rows_of(name, labelled_target=places.phantoms)
        test = work.test_store()
        known = earlier(places.workdir, name, config.name)
        report = Report(
            table=name,
            preset=config.name,
            phantoms=places.phantoms,
            date=time.strftime("%Y-%m-%d"),
            machine=machine(),
            commit=commit(),
            version=__version__,
            data={
                "test": {
                    "cases": len(test.cases),
                    "slices": len(test),
                    "lesion_slices": int((test.lesion_px > 0).sum()),
                }
            },
            silence=silence(test),
            results=(),
        )
        for number, (seed, row) in enumerate((seed, row) for seed in seeds for row in rows):
            work.begin(row.name, number, len(seeds) * len(rows))
            result = _one(row, seeded(config, seed), work, test, known)
            report = replace(report, data={**work.data, **report.data}, results=(*report.results, result))
            report.write(places.workdir)
            if after is not None:
                after(result)
    return report


def _one(
    row: Row | SupervisedRow, config: PipelineConfig, work: "_Work", test: SliceStore, known: Mapping[str, Result]
) -> Result:
    began = time.monotonic()
    scored: Callable[[], Scores]
    if isinstance(row, SupervisedRow):
        folded = CrossValidation(
            config,
            test,
            work.workdir,
            lambda: {step: made.folder for step, made in work.pipeline(config).items()},
            tell=work.tell,
            should_stop=work.should_stop,
        )
        decides = folded.key(row)
        scored = lambda: folded.score(row)  # noqa: E731
    else:
        changed = row.change(config)
        made = work.pipeline(changed)["segmentation"]
        decides = f"{made.key} {test.digest()}"
        scored = lambda: score(_network(changed, made.folder), test)  # noqa: E731
    key = hashlib.sha256(f"{row.name} {decides}".encode()).hexdigest()[:12]
    if key in known:
        return known[key]
    scores = scored()
    seconds = round(time.monotonic() - began, 1)
    return Result(name=row.name, paper=row.paper, seed=config.seed, scores=scores, seconds=seconds, key=key)


def _network(config: PipelineConfig, folder: Path) -> Fcn:
    network = Fcn(config.segmentation.network)
    network.load_state_dict(best_weights(folder))
    choose(config.segmentation_fit.device, "auto").put(network)
    return network.eval()


class _Work:
    """What all rows share: the working folder, the data, and whom to tell."""

    def __init__(
        self,
        config: PipelineConfig,
        places: Places,
        processes: int | None,
        progress: PipelineCallback | None,
        should_stop: StopCheck | None,
    ) -> None:
        self.config, self.places, self.workdir = config, places, places.workdir
        heads = config.source_heads + config.target_heads
        few = places.source is None and places.phantoms and heads < 2 * _HEADS_PER_PROCESS
        self.processes = processes or (1 if few else cores())
        self.should_stop = should_stop or (lambda: False)
        self.data: dict[str, Any] = {}
        self._progress, self._row = progress, ("", 0, 1)

    def begin(self, row: str, number: int, count: int) -> None:
        """From now on it is about this row, of so many."""
        self._row = (row, number, count)

    def pipeline(self, config: PipelineConfig) -> Mapping[str, StepResult]:
        """All steps up to the segmenter, made or found."""
        if self.places.source is None and self.places.phantoms:
            phantoms.lend(config, self.workdir, processes=self.processes, tell=self.tell, should_stop=self.should_stop)
        done = run_pipeline(
            config,
            self.workdir / "work",
            self.workdir / "models",
            source=self.places.source,
            target=self.places.target,
            until="segmentation",
            processes=self.processes,
            progress=self._pipeline_tells,
            should_stop=self.should_stop,
        )
        for domain in ("source", "target"):
            summary = done.steps[domain].summary
            self.data[domain] = {"cases": summary["cases"], "slices": summary["slices"]}
        return done.steps

    def test_store(self) -> SliceStore:
        """Labelled CT as slices, prepared once."""
        place, masks = self.places.test, None
        settings = replace(self.config.prepare, validation_share=0.0)
        if place is None:
            place = self.workdir / phantoms.FOLDER / "test"
            masks = place / "masks"
            count = phantoms.test_heads(self.config)
            images = phantoms.render(
                place,
                "ct",
                phantoms.TEST_SEED,
                count,
                processes=self.processes,
                tell=self.tell,
                should_stop=self.should_stop,
            )
            wanted = {image.name.removesuffix(".nii.gz") for image in images}
        cases = [case for case in cases_of(place, "target", labelled=True, masks=masks) if case.mask]
        if self.places.phantoms:
            cases = [case for case in cases if case.case in wanted]
        if not cases:
            raise TrainingError(f"{place} holds no labelled CT; expected a set with masks, or images/ with masks/")
        folder = self.workdir / f"test-{self.config.name}" / SLICES
        prepare(
            cases,
            folder,
            "target",
            settings,
            processes=self.processes,
            progress=lambda done, total, case: self.tell("test scans", done, total),
            should_stop=self.should_stop,
        )
        return SliceStore.open(folder)

    def tell(self, what: str, done: int, total: int) -> None:
        """Of work that is no step of the pipeline."""
        overall = done / max(total, 1)
        self._tell(PipelineProgress(step=what, number=1, count=1, done=done, total=total, overall=overall))

    def _pipeline_tells(self, now: PipelineProgress) -> None:
        self._tell(replace(now, message="" if now.message.endswith("up to date") else now.message))

    def _tell(self, now: PipelineProgress) -> None:
        if self._progress is None:
            return
        row, number, count = self._row
        step = f"{row}: {now.step}" if row else now.step
        overall = (number + min(now.overall, 1.0)) / count if row else 0.0
        self._progress(replace(now, step=step, overall=overall))
