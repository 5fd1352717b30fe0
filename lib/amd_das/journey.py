"""The whole way of a scan, in one straight line: file → volume → mask → measurement → files.

The terminal and every other way in call :func:`segment_case`.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from amd_das.conventions import DICOM_FORMATS
from amd_das.errors import AmdDasError, ConfigError
from amd_das.inference import Predictor, Segmentation
from amd_das.inference.predictor import Progress
from amd_das.output.overlay import write_overlay
from amd_das.output.summary import SummaryRow, failed_row, result_dict, result_row, write_json, write_summary
from amd_das.reading import Input, ReadingConfig, find_inputs, read_volume, write_mask
from amd_das.volume import Volume

logger = logging.getLogger(__name__)

MASK_FORMATS: Final = ("nii.gz", "nrrd")
"""Formats a mask can be written in beside DICOM; one of them at a time."""

FORMATS: Final = (*MASK_FORMATS, *DICOM_FORMATS)
"""What a result can be written as; JSON and PNG are always there."""

SUMMARY_NAME: Final = "summary.csv"
"""The table of a run, beside the results."""


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What segmenting one scan left behind."""

    record: dict[str, Any]
    """See :func:`amd_das.output.summary.result_dict`; also the content of ``json``."""

    mask: Path | None
    """uint8 on the scan's own grid, 1 is hemorrhage; None where neither "nii.gz" nor "nrrd" was asked for."""

    dicom: tuple[Path, ...]
    """DICOM files, and the folder of overlay pictures."""

    overlay: Path
    """PNG montage."""

    json: Path
    """Written last: where it lies, the others are complete."""


def segment_case(
    source: Path | Input,
    predictor: Predictor,
    directory: Path,
    *,
    formats: Sequence[str] = ("nii.gz",),
    reading: ReadingConfig | None = None,
    progress: Progress | None = None,
) -> CaseResult:
    """Read one scan, segment it, and write ``<case>.png``, ``<case>.json`` and what ``formats`` names.

    Args:
        source: an image file, the folder of a DICOM series, or what ``find_inputs`` found.
        predictor: holds the model.
        directory: made if it does not exist; results of the same case id are replaced.
        formats: of :data:`FORMATS`: ``<case>.nii.gz`` or ``<case>.nrrd``, ``<case>-seg.dcm``, ``<case>-sr.dcm``,
            ``<case>-sc/0001.dcm``, ….
        reading: limits of what is read.
        progress: told of the stages.

    Raises:
        InputError: the input is not a head CT that can be segmented, or not DICOM and DICOM is asked for.
        ConfigError: no such formats, or ``directory`` cannot be made.
    """
    _prepare(directory, formats)
    tell = progress or (lambda stage, fraction: None)
    tell("reading", 0.0)
    started = time.perf_counter()
    volume = read_volume(source, reading)
    dicom_formats = [name for name in formats if name in DICOM_FORMATS]
    if dicom_formats:
        from amd_das.output.dicom import load_source  # takes a second to import

        load_source(volume)  # refuse before an answer is computed that could not be written
    read = time.perf_counter()
    segmentation = predictor.segment(volume, progress)
    segmented = time.perf_counter()
    tell("writing", 1.0)
    dicom = _write_dicom(volume, segmentation, dicom_formats, directory)
    mask = None
    for name in set(formats) & set(MASK_FORMATS):
        mask = write_mask(segmentation.mask, volume, directory / f"{volume.case_id}.{name}")
    overlay = write_overlay(
        volume,
        segmentation.mask,
        segmentation.measurement,
        directory / f"{volume.case_id}.png",
        model_version=segmentation.model.version,
    )
    written = time.perf_counter()
    latencies = {
        "read": read - started,
        **segmentation.latencies,
        "write": written - segmented,
        "total": written - started,
    }
    record = result_dict(volume, replace(segmentation, latencies=latencies))
    json = write_json(record, directory / f"{volume.case_id}.json")
    return CaseResult(record=record, mask=mask, dicom=dicom, overlay=overlay, json=json)


def _write_dicom(
    volume: Volume, segmentation: Segmentation, formats: Sequence[str], directory: Path
) -> tuple[Path, ...]:
    """A result as DICOM files of the formats named."""
    if not formats:
        return ()
    from amd_das.output.dicom import dicom_objects, write_dicom

    objects = dicom_objects(
        volume.with_warnings(*segmentation.warnings),
        segmentation.mask,
        segmentation.measurement,
        model=segmentation.model,
        formats=formats,
    )
    return write_dicom(objects, directory, volume.case_id)


def segment_cases(
    paths: Sequence[Path],
    predictor: Predictor,
    directory: Path,
    *,
    formats: Sequence[str] = ("nii.gz",),
    reading: ReadingConfig | None = None,
    progress: Progress | None = None,
) -> Iterator[SummaryRow]:
    """Segment every scan among ``paths``, one after the other, and keep ``summary.csv`` up to date.

    Yields a row per scan as soon as it is done. An input that cannot be segmented yields a row with its error and
    does not stop the others. Arguments as for :func:`segment_case`; ``progress`` is told the fraction of the run.

    Raises:
        ConfigError: no such formats, or ``directory`` cannot be made.
    """
    _prepare(directory, formats)
    inputs, rows = _gather(paths)
    yield from rows
    write_summary(rows, directory / SUMMARY_NAME)
    for number, found in enumerate(inputs):
        row = _segment_one(
            found,
            predictor,
            directory,
            formats=formats,
            reading=reading,
            progress=_part_of_run(progress, number, len(inputs), found.case_id),
        )
        rows.append(row)
        write_summary(rows, directory / SUMMARY_NAME)
        yield row


def _segment_one(found: Input, predictor: Predictor, directory: Path, **options: Any) -> SummaryRow:
    """:func:`segment_case` with whatever goes wrong in the row instead of raised."""
    started = time.perf_counter()
    try:
        result = segment_case(found, predictor, directory, **options)
    except AmdDasError as error:
        message = str(error)
    except Exception as error:  # one scan must not take the others of a long run with it
        logger.exception("%s: unexpected error", found.case_id)
        message = f"unexpected {type(error).__name__}: {error}"
    else:
        return result_row(result.record, seconds=time.perf_counter() - started, source=str(found.path))
    return failed_row(found.case_id, message, seconds=time.perf_counter() - started, source=str(found.path))


def _gather(paths: Sequence[Path]) -> tuple[list[Input], list[SummaryRow]]:
    """The scans among ``paths`` under unique case ids, and a row for each path that holds none."""
    try:
        return find_inputs(paths), []
    except AmdDasError:
        logger.debug("not every path holds a scan; looking at them one by one")
    good: list[Path] = []
    failed: list[SummaryRow] = []
    for path in paths:
        try:
            find_inputs([path])
            good.append(path)
        except AmdDasError as error:
            failed.append(failed_row(path.name, str(error), seconds=0.0, source=str(path)))
    return (find_inputs(good) if good else []), failed


def _part_of_run(progress: Progress | None, number: int, count: int, case_id: str) -> Progress | None:
    """Progress of one scan as progress of the run."""
    if progress is None:
        return None
    return lambda stage, fraction: progress(f"{number + 1}/{count} {case_id}: {stage}", (number + fraction) / count)


def _prepare(directory: Path, formats: Sequence[str]) -> None:
    """Raise before anything is computed that could not be written."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigError(f"format {', '.join(map(repr, unknown)) or 'missing'}: expected some of {', '.join(FORMATS)}")
    if set(MASK_FORMATS) <= set(formats):
        raise ConfigError("formats nii.gz and nrrd: expected one of the two, they hold the same; leave one out")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the output folder {directory}: {error.strerror}; choose another") from None
