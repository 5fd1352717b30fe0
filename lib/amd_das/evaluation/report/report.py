"""All files of a report, written together."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from amd_das.errors import ConfigError, InputError
from amd_das.evaluation.cases import EvaluationCase
from amd_das.evaluation.report.page import WORST_BLEEDS, WORST_NEGATIVES, render
from amd_das.evaluation.report.pictures import case_pictures
from amd_das.evaluation.report.tables import cases_csv, record, slices_csv, worst_cases
from amd_das.evaluation.scoring import Scores
from amd_das.evaluation.summary import ModelSummary, compare, summarise
from amd_das.files import write_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """What was written, and what it says."""

    page: Path
    cases: Path
    slices: Path
    json: Path

    summaries: Mapping[str, ModelSummary]
    """By model."""

    problems: Sequence[str] = ()
    """Said at the head of the page."""


def write_report(
    scores: Scores,
    cases: Sequence[EvaluationCase],
    directory: Path,
    *,
    title: str = "Evaluation",
    about: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ReportFiles:
    """Write ``report.html``, ``cases.csv``, ``slices.csv`` and ``report.json``.

    Args:
        scores: see :func:`amd_das.evaluation.scoring.score_cases`.
        cases: the same cases; those with an image are drawn if they are among the worst.
        directory: made if it does not exist; files of an earlier report are replaced.
        title: of the page.
        about: what was compared, for the JSON.
        progress: told what is being done.

    Raises:
        ConfigError: ``directory`` cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write a report to {directory}: {error.strerror}; choose another folder") from error
    tell = progress or (lambda what: None)
    tell("statistics")
    summaries = {model: summarise(some) for model, some in scores.items()}
    differences = compare(scores)
    tell("pictures")
    pictures, problems = _pictures(scores, cases)
    doubtful = {f"{one.case}: {words}" for some in scores.values() for one in some for words in one.warnings}
    problems += sorted(doubtful)
    tell("report")
    page = render(
        scores,
        summaries,
        differences,
        pictures,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        title=title,
        problems=problems,
    )
    whole = json.dumps(record(scores, summaries, differences, about or {}), indent=1, ensure_ascii=False)
    return ReportFiles(
        cases=write_whole(directory / "cases.csv", cases_csv(scores).encode()),
        slices=write_whole(directory / "slices.csv", slices_csv(scores).encode()),
        json=write_whole(directory / "report.json", (whole + "\n").encode()),
        page=write_whole(directory / "report.html", page.encode()),
        summaries=summaries,
        problems=problems,
    )


def _pictures(
    scores: Scores, cases: Sequence[EvaluationCase]
) -> tuple[dict[str, Mapping[str, Image.Image]], list[str]]:
    """Of the worst cases that have an image; and why some could not be drawn."""
    files = {case.case: case for case in cases if case.image is not None}
    worst = [
        case
        for bleeds, most in ((True, WORST_BLEEDS), (False, WORST_NEGATIVES))
        for case, _ in worst_cases(scores, most, bleeds=bleeds)
    ]
    drawn: dict[str, Mapping[str, Image.Image]] = {}
    problems = []
    for case in worst:
        if case not in files:
            continue
        try:
            drawn[case] = case_pictures(files[case])
        except InputError as error:
            problems.append(f"{case} cannot be drawn: {error}")
    return drawn, problems
