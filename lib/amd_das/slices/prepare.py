"""From files to a slice store: cases read and preprocessed in several processes, appended one by one in their order."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from amd_das.datasets import CaseFiles, Lesion
from amd_das.datasets.splits import FILE_NAME as SPLIT
from amd_das.datasets.splits import Person, Split, assign
from amd_das.datasets.volumes import has_lesion
from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.files import write_whole
from amd_das.preprocessing.grid import SIZE
from amd_das.processes import in_order
from amd_das.slices.cases import PrepareConfig, prepare_case
from amd_das.slices.index import FORMAT, Domain
from amd_das.slices.writer import SliceWriter

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
"""Told of the cases done, all cases, and the last one's name."""

TARGET_SLICES: Final = 20
"""Slices a head CT has at least, for the disk space needed (ours)."""


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What was asked for, and what came of it."""

    cases: int
    """Cases asked for that are in the store."""

    added: int
    """Those of them that were not before."""

    slices: int
    """Slices in the store."""

    failures: Mapping[str, str]
    """Case to error, of those asked for; also of earlier runs."""

    seconds: float


def prepare(
    cases: Sequence[CaseFiles],
    directory: Path,
    domain: Domain,
    config: PrepareConfig | None = None,
    *,
    processes: int | None = None,
    retry: bool = False,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    split: Path | None = None,
) -> PrepareReport:
    """Make or continue a slice store; the same cases give the same bytes, whatever the number of processes.

    Cases that are there are passed over. A case that fails is noted in the index and does not stop the others. Called
    with processes other than 1, this needs a main module that can be imported again (``spawn``).

    Args:
        cases: as found by :mod:`amd_das.datasets`. With masks the store is labelled; then each case needs one.
        directory: of the store.
        domain: "source" (skull-stripped FLAIR, with masks) or "target" (head CT).
        config: which slices, and how.
        processes: None for one per processor; 1 works in this process.
        retry: try those again that failed in an earlier run, as is done where none was good.
        progress: told at the start and after each case.
        should_stop: asked a few times a second; cases under way are given up.
        split: the file that keeps who is held out (:mod:`amd_das.datasets.splits`) where it outlives the store, which
            then gets a copy; None for one in the store.

    Raises:
        TrainingError: no cases; a source without masks or with empty ones only; every case failed; fewer slices than
            ``config.least_slices``; no room on the disk. What is prepared stays.
        TrainingStopped: ``should_stop`` said so.
        ProcessLostError: a process was ended from outside; what is prepared stays.
        ConfigError: the directory holds another store, two cases have one name, or masks outline different things.
    """
    config = config or PrepareConfig()
    started = time.perf_counter()
    _check(cases, domain, processes)
    labelled = any(files.mask for files in cases)
    header = {**config.record(domain), **({"lesion": "any"} if labelled and _lesion(cases) == "any" else {})}
    with SliceWriter(directory, domain, labelled=labelled, config=header) as writer:
        passed_over = writer.done if writer.cases and not retry else writer.cases
        todo = [files for files in cases if files.case not in passed_over]
        if (
            labelled
            and config.lesions_needed
            and todo
            and not any(any(case.lesion_px) for case in writer.cases.values())
        ):
            _check_masks(todo)
        _check_room(writer.directory, len(todo), domain, config, labelled=labelled)
        # A patient known from an earlier run keeps the name given then.
        known = {files.patient: writer.cases[files.case].patient for files in cases if files.case in writer.cases}
        before = len(writer.cases)
        if progress is not None:
            progress(len(cases) - len(todo), len(cases), "")
        work = partial(prepare_case, domain=domain, config=config, labelled=labelled)
        check = partial(_stop_if_asked, should_stop or (lambda: False), len(todo))
        outcomes = in_order(work, todo, processes, check)
        with closing(outcomes):
            for number, (files, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
                if isinstance(outcome, str):
                    logger.info("%s: %s", files.case, outcome)
                    writer.fail(files.case, outcome)
                else:
                    case = replace(outcome.case, patient=known.get(files.patient, files.patient))
                    writer.append(case, outcome.images, outcome.labels)
                if progress is not None:
                    progress(len(cases) - len(todo) + number, len(cases), files.case)
                if not writer.cases and number >= config.give_up:
                    break
        asked = {files.case: files for files in cases}
        failures = {case: error for case, error in writer.failures.items() if case in asked}
        _check_outcome(writer, failures, config)
        _split(writer, config, split)
        return PrepareReport(
            cases=len(asked.keys() & writer.cases.keys()),
            added=len(writer.cases) - before,
            slices=writer.slices,
            failures=failures,
            seconds=time.perf_counter() - started,
        )


def _check(cases: Sequence[CaseFiles], domain: Domain, processes: int | None) -> None:
    """What can be said without reading."""
    if domain not in ("source", "target"):
        raise ConfigError(f"domain {domain!r} cannot be prepared from files; expected source or target")
    if processes is not None and processes < 1:
        raise ConfigError(f"processes {processes}: expected at least 1")
    if not cases:
        raise TrainingError(f"there are no cases to prepare as {domain}; give a folder that holds some")
    twice = [name for name, count in Counter(files.case for files in cases).items() if count > 1]
    if twice:
        raise ConfigError(f"{len(twice)} case names come more than once ({', '.join(twice[:3])}); rename the files")
    if domain == "source" and not any(files.mask for files in cases):
        raise TrainingError(
            f"none of the {len(cases)} source cases has a mask; expected labelsTr/NAME.nii.gz or "
            "masks/NAME-glioma.nii.gz for each image NAME.nii.gz"
        )


def _lesion(cases: Sequence[CaseFiles]) -> Lesion | None:
    """What all masks outline.

    Raises:
        ConfigError: not all the same.
    """
    lesions = {files.lesion or "iph" for files in cases if files.mask}
    if len(lesions) > 1:
        raise ConfigError(f"some masks outline {' and others '.join(sorted(lesions))}; prepare each in its own folder")
    return next(iter(lesions), None)


def _split(writer: SliceWriter, config: PrepareConfig, file: Path | None) -> None:
    """Patients who are new get their place; the others keep theirs."""
    if not config.validation_share and not config.official_split:
        return
    people: dict[str, Person] = {}
    for case in sorted(writer.cases.values(), key=lambda case: case.case):
        bleeds = not writer.labelled or any(case.lesion_px) or ((known := people.get(case.patient)) and known.bleeds)
        place: Split = "train" if case.provenance.get("split") == "train" else "validation"
        people[case.patient] = Person(
            keys=(case.patient,), bleeds=bool(bleeds), place=place if config.official_split else None
        )
    own = writer.directory / SPLIT
    kept = file or own
    assign([people[name] for name in sorted(people)], kept, share=config.validation_share, salt=FORMAT)
    if kept != own:
        write_whole(own, kept.read_bytes())


def _check_masks(cases: Iterable[CaseFiles]) -> None:
    """Before hours are spent: is anything labelled at all? One mask is read, as a rule."""
    masks = [files for files in cases if files.mask]
    if not any(has_lesion(files) for files in masks):
        raise TrainingError(f"all {len(masks)} masks are empty or cannot be read; expected lesions, above 0")


def _check_room(directory: Path, count: int, domain: Domain, config: PrepareConfig, *, labelled: bool) -> None:
    first, last = config.source_slices
    each = -(-(last + 1 - first if domain == "source" else TARGET_SLICES) // config.every)
    needed = count * each * SIZE * SIZE * (2 if labelled else 1)
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise TrainingError(
            f"{count} cases need about {needed / 2**30:.1f} GiB in {directory}, {free / 2**30:.1f} GiB are free; "
            "make room, or choose another folder"
        )


def _check_outcome(writer: SliceWriter, failures: Mapping[str, str], config: PrepareConfig) -> None:
    if not writer.cases:
        case, error = next(iter(failures.items()))
        raise TrainingError(f"none of {len(failures)} cases could be prepared. {case}: {error}")
    if writer.labelled and config.lesions_needed and not any(any(case.lesion_px) for case in writer.cases.values()):
        raise TrainingError(
            f"none of the {writer.slices} slices bears a lesion; expected masks that are above 0 at the height where "
            "slices are taken"
        )
    if writer.slices < config.least_slices:
        raise TrainingError(
            f"there are {writer.slices} slices of {len(writer.cases)} cases in {writer.directory}, too few to train "
            f"on; expected at least {config.least_slices}. Add cases and run again."
        )


def _stop_if_asked(should_stop: Callable[[], bool], count: int, done: int) -> None:
    if should_stop():
        raise TrainingStopped(f"stopped after {done} of {count} cases; run again to continue")
