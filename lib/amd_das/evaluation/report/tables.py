"""The numbers of an evaluation as CSV, JSON and words."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

import numpy as np

from amd_das import __version__
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.evaluation.measures import Measure
from amd_das.evaluation.metrics import VolumeScores
from amd_das.evaluation.scoring import CaseScores, Scores
from amd_das.evaluation.statistics import AREA_RESAMPLES, CONFIDENCE, RESAMPLES, Detection, Difference, Estimate
from amd_das.evaluation.summary import ModelSummary

_DIGITS: Final = 6


def cases_csv(scores: Scores) -> str:
    """One row for each case and model."""
    rows = (
        {
            "case": one.case,
            "model": model,
            "bleed": int(one.bleeds),
            **asdict(one.volume),
            "paper_slice_dice": float(one.slices.paper_dice.mean()),
            "subtypes": ";".join(one.attributes.subtype_names),
            "volume_class": one.volume_class,
            "scanner": one.attributes.scanner,
            "warnings": " | ".join(one.warnings),
        }
        for model, cases in scores.items()
        for one in cases
    )
    names = ("case", "model", "bleed", *(field.name for field in fields(VolumeScores)))
    return _csv((*names, "paper_slice_dice", "subtypes", "volume_class", "scanner", "warnings"), rows)


def slices_csv(scores: Scores) -> str:
    """One row for each axial slice, counted from inferior, case and model."""
    names = ("pixels_ref", "pixels_pred", "dice", "sensitivity", "specificity", "precision", "paper_dice")
    rows = (
        {
            "case": one.case,
            "model": model,
            "slice": number,
            **{name: getattr(one.slices, name)[number] for name in names},
        }
        for model, cases in scores.items()
        for one in cases
        for number in range(len(one.slices.paper_dice))
    )
    return _csv(("case", "model", "slice", *names), rows)


def record(
    scores: Scores,
    summaries: Mapping[str, ModelSummary],
    differences: Mapping[str, Mapping[str, Difference]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything but slices as JSON-ready values; what is undefined is null.

    Args:
        scores: every case.
        summaries: by model.
        differences: see :func:`amd_das.evaluation.summary.compare`.
        about: what was compared, as given.
    """
    return plain(
        {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "software": {"name": "amd-das", "version": __version__},
            "notice": RESEARCH_NOTICE,
            **about,
            "intervals": f"{CONFIDENCE:.0%}, bootstrap over scans, BCa with {RESAMPLES} resamples "
            f"(area under the curve: percentile, {AREA_RESAMPLES})",
            "models": {model: asdict(summary) for model, summary in summaries.items()},
            "differences": {
                model: {name: asdict(one) for name, one in named.items()} for model, named in differences.items()
            },
            "cases": [
                {
                    "case": one.case,
                    "model": model,
                    **asdict(one.volume),
                    "subtypes": one.attributes.subtype_names,
                    "scanner": one.attributes.scanner,
                }
                for model, cases in scores.items()
                for one in cases
            ],
        }
    )


def plain(value: Any) -> Any:
    """As JSON knows it: lists, numbers without digits nobody measured, null for nan and infinity."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return round(float(value), _DIGITS) if isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def number(value: float, digits: int) -> str:
    """With a true minus; a dash where undefined."""
    shown = f"{round(value, digits) + 0.0:.{digits}f}"
    return shown.replace("-", "−") if isfinite(value) else "–"


def interval_text(low: float, high: float, digits: int) -> str:
    """ "[0.781 to 0.879]"; empty where undefined."""
    return f"[{number(low, digits)} to {number(high, digits)}]" if isfinite(low) else ""


def estimate_text(one: Estimate, measure: Measure) -> str:
    """ "0.835 [0.781 to 0.879]", with the median where the mean alone misleads."""
    interval = interval_text(one.low, one.high, measure.digits)
    median = f"; median {number(one.median, measure.digits)}" if measure.skewed and one.n else ""
    return f"{number(one.mean, measure.digits)} {interval}".rstrip() + median


def area_text(detection: Detection | None) -> str:
    """Area under the ROC curve."""
    if detection is None:
        return "– (scans of both kinds are needed)"
    return f"{number(detection.area, 3)} {interval_text(detection.low, detection.high, 3)}".rstrip()


def worst_cases(scores: Scores, most: int, *, bleeds: bool) -> list[tuple[str, dict[str, CaseScores]]]:
    """Cases that any model fares worst in, and their scores by model: bleeds by Dice, negatives by mL of prediction.

    Negatives in which nothing is predicted are not bad cases, and left out.
    """
    by_case: dict[str, dict[str, CaseScores]] = {}
    for model, cases in scores.items():
        for one in cases:
            if one.bleeds == bleeds and (bleeds or one.volume.lesions_pred):
                by_case.setdefault(one.case, {})[model] = one

    def badness(named: tuple[str, dict[str, CaseScores]]) -> tuple[float, float]:
        volumes = [one.volume for one in named[1].values()]
        error = max(abs(volume.volume_error_ml) for volume in volumes)
        return (min(volume.dice for volume in volumes), -error) if bleeds else (-error, 0.0)

    return sorted(by_case.items(), key=badness)[:most]


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (plain(row[name]) for name in columns)
        writer.writerow("" if cell is None else cell for cell in cells)
    return buffer.getvalue()
