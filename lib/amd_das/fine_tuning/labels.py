"""The labelled scans as slices: what has been prepared before, and has not changed since, is taken over."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from amd_das.errors import AmdDasError
from amd_das.files import write_whole
from amd_das.fine_tuning.cases import LabelledCase
from amd_das.pipeline.steps import DONE
from amd_das.slices import SliceStore, SliceWriter
from amd_das.slices.prepare import PrepareConfig, prepare
from amd_das.training.progress import StopCheck

logger = logging.getLogger(__name__)

SLICES: Final = "slices"
STAMPS: Final = "stamps.json"


def prepare_labels(
    cases: Sequence[LabelledCase],
    folder: Path,
    config: PrepareConfig,
    *,
    processes: int | None,
    progress: Callable[[int, int], None],
    should_stop: StopCheck,
) -> Mapping[str, Any]:
    """Make or continue the store ``folder/slices``; returns a summary ready for JSON.

    Raises:
        TrainingError, TrainingStopped, ConfigError: see :func:`amd_das.slices.prepare.prepare`.
        PacsError: the PACS does not answer any more.
    """
    stamps = {one.files.case: one.stamp for one in cases}
    for earlier in sorted(folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*/{DONE}")):
        _take_over(earlier.parent, folder / SLICES, stamps, config)
    outcome = prepare(
        [one.files for one in cases],
        folder / SLICES,
        "target",
        config,
        processes=processes,
        progress=lambda done, total, case: progress(done, total),
        should_stop=should_stop,
    )
    write_whole(folder / STAMPS, json.dumps(stamps).encode())
    return {"cases": outcome.cases, "slices": outcome.slices, "failures": dict(outcome.failures)}


def remove_earlier(folder: Path) -> None:
    """Folders of the same step that nothing needs any more."""
    for other in folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*"):
        if other != folder and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)


def _take_over(earlier: Path, directory: Path, stamps: Mapping[str, Any], config: PrepareConfig) -> None:
    """Copy cases whose scan and label are as they were; whatever is wrong with the earlier store, it is passed over."""
    try:
        before = json.loads((earlier / STAMPS).read_text())
        store = SliceStore.open(earlier / SLICES)
    except (OSError, ValueError, AmdDasError) as error:
        logger.info("%s is not taken over: %s", earlier.name, error)
        return
    record = config.record("target")
    if store.labels is None or store.config != json.loads(json.dumps(record)):
        return
    wanted = json.loads(json.dumps(dict(stamps)))
    with SliceWriter(directory, "target", labelled=True, config=record) as writer:
        for number, case in enumerate(store.cases):
            if case.case in writer.cases or case.case not in wanted or before.get(case.case) != wanted[case.case]:
                continue
            rows = np.flatnonzero(store.case_index == number)
            writer.append(case, np.array(store.images[rows]), np.array(store.labels[rows]))
