"""A table's rows, one after the other: trained by the pipeline where that is not done, scored on labelled CT."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from amd_das import __version__
from amd_das.errors import ConfigError
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.steps import PipelineCallback, StepResult, only_one
from amd_das.reproduction.cross_validation import CrossValidation
from amd_das.reproduction.machine import commit, machine
from amd_das.reproduction.presets import seeded
from amd_das.reproduction.report import Report, Result, earlier
from amd_das.reproduction.rows import Row, SupervisedRow, check_table, rows_of
from amd_das.reproduction.scores import Scores, score, silence
from amd_das.reproduction.work import Places, Work
from amd_das.segmentation.selection import best_weights
from amd_das.slices import SliceStore
from amd_das.training.device import choose
from amd_das.training.progress import StopCheck


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
        work = Work(config, places, processes, progress, should_stop)
        rows = rows_of(name, labelled_target=places.phantoms)
        test = work.test_store()
        known = earlier(places.workdir, name, config.name)
        report = Report(
            table=name,
            preset=config.name,
            phantoms=places.phantoms,
            date=time.strftime("%Y-%m-%d"),
            machine=machine(),
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
        now = commit()
        for number, (seed, row) in enumerate((seed, row) for seed in seeds for row in rows):
            work.begin(row.name, number, len(seeds) * len(rows))
            result = _one(row, seeded(config, seed), work, test, known, now)
            report = replace(report, data={**work.data, **report.data}, results=(*report.results, result))
            if result.key not in known:
                report.write(places.workdir)
            if after is not None:
                after(result)
        report.write(places.workdir)
    return report


def _one(
    row: Row | SupervisedRow,
    config: PipelineConfig,
    work: Work,
    test: SliceStore,
    known: Mapping[str, Result],
    commit: str | None,
) -> Result:
    """Train and score a row where that is not known."""
    began = time.monotonic()
    score_it: Callable[[], Scores]
    if isinstance(row, SupervisedRow):
        folded = CrossValidation(
            config,
            test,
            work.workdir,
            lambda: {step: made.folder for step, made in work.pipeline(config).items()},
            tell=work.tell,
            should_stop=work.should_stop,
        )
        decides, score_it = folded.key(row), partial(folded.score, row)
    else:
        changed = row.change(config)
        made = work.pipeline(changed)["segmentation"]
        decides, score_it = f"{made.key} {test.digest()}", partial(_score, changed, made, test)
    key = hashlib.sha256(f"{row.name} {decides}".encode()).hexdigest()[:12]
    if key in known:
        return known[key]
    scores = score_it()
    return Result(
        name=row.name,
        paper=row.paper,
        seed=config.seed,
        scores=scores,
        seconds=round(time.monotonic() - began, 1),
        commit=commit,
        key=key,
    )


def _score(config: PipelineConfig, made: StepResult, test: SliceStore) -> Scores:
    network = Fcn(config.segmentation.network)
    network.load_state_dict(best_weights(made.folder))
    choose(config.segmentation_fit.device, "auto").put(network)
    return score(network.eval(), test)
