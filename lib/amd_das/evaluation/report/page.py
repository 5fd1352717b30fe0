"""The report as one HTML page: words and numbers put into the template, plots and pictures written into it."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from amd_das import __version__
from amd_das.conventions import LINE_RGB, RESEARCH_NOTICE
from amd_das.evaluation import plots
from amd_das.evaluation.measures import MEASURES, SLICE_MEASURES, VOLUME_MEASURES, Measure, values
from amd_das.evaluation.report.pictures import data_uri
from amd_das.evaluation.report.tables import area_text, estimate_text, interval_text, number, worst_cases
from amd_das.evaluation.scoring import CaseScores, Scores
from amd_das.evaluation.statistics import RESAMPLES, Difference
from amd_das.evaluation.summary import Group, ModelSummary
from amd_das.output.drawing import DISPLAY_HU, REFERENCE_RGB

WORST_BLEEDS, WORST_NEGATIVES = 10, 5
"""Cases shown with pictures."""

_HERE: Final = Path(__file__).resolve().parent
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_OVER: Final = {"bleeds": "scans with a bleed", "negatives": "scans without", "all": "all scans"}
_PARTS: Final = {
    "subtype": ("By subtype", "A scan that shows several kinds of hemorrhage is in each of them."),
    "volume": ("By volume of the reference", ""),
    "scanner": ("By scanner", ""),
}
_PART_MEASURES: Final = (
    "dice",
    "sensitivity",
    "precision",
    "hd95_mm",
    "volume_bias_ml",
    "lesion_f1",
    "false_positive_ml",
)

Pictures = Mapping[str, Mapping[str, Image.Image]]
"""Case → model → picture."""


def render(
    scores: Scores,
    summaries: Mapping[str, ModelSummary],
    differences: Mapping[str, Mapping[str, Difference]],
    pictures: Pictures,
    *,
    date: str,
    title: str,
    problems: Sequence[str] = (),
) -> str:
    """The page; it loads nothing from anywhere.

    Args:
        scores: every case.
        summaries: by model.
        differences: see :func:`amd_das.evaluation.summary.compare`.
        pictures: of the worst cases; empty where there are no images.
        date: as shown.
        title: the page's.
        problems: what a reader must know first.
    """
    first = next(iter(summaries.values()))
    models = [
        {"name": name, "colour": plots.COLOURS[place % len(plots.COLOURS)]} for place, name in enumerate(summaries)
    ]
    return _TEMPLATES.get_template("report.html").render(
        title=title,
        notice=RESEARCH_NOTICE,
        version=__version__,
        date=date,
        style=Markup((_HERE / "report.css").read_text()),  # our own file
        counts=f"{first.overall.bleeds} scans with a bleed, {first.overall.negatives} without.",
        models=models,
        problems=problems,
        volume_rows=_volume_rows(summaries),
        comparisons=[
            {"model": model, "base": next(iter(summaries)), "rows": _difference_rows(named)}
            for model, named in differences.items()
        ],
        plots=_plots(scores, summaries),
        parts=_parts(summaries),
        slice_rows=[_row(summaries, measure) for measure in SLICE_MEASURES],
        paper_rows=_paper_rows(summaries),
        nothing=number(first.paper.nothing, 3),
        worst=[
            _worst(f"The {WORST_BLEEDS} worst scans with a bleed, by Dice", scores, pictures, bleeds=True),
            _worst("Most false positives in scans without a bleed", scores, pictures, bleeds=False),
        ],
        ref_colour=_css(REFERENCE_RGB),
        pred_colour=_css(LINE_RGB),
        display=f"{DISPLAY_HU[0]:g} to {DISPLAY_HU[1]:g}",
        cases=_cases(scores),
        resamples=RESAMPLES,
    )


def _css(colour: tuple[int, ...]) -> str:
    return f"rgb({', '.join(map(str, colour))})"


def _row(summaries: Mapping[str, ModelSummary], measure: Measure) -> dict[str, Any]:
    estimates = [summary.overall.measures[measure.name] for summary in summaries.values()]
    scans = next(iter(summaries.values())).overall
    expected = {"bleeds": scans.bleeds, "negatives": scans.negatives, "all": scans.bleeds + scans.negatives}
    cells = [
        estimate_text(one, measure) + (f" (n = {one.n})" if one.n != expected[measure.over] else "")
        for one in estimates
    ]
    return {
        "title": measure.heading,
        "note": measure.note,
        "cells": cells,
        "over": f"{expected[measure.over]} {_OVER[measure.over]}",
    }


def _volume_rows(summaries: Mapping[str, ModelSummary]) -> list[dict[str, Any]]:
    groups = [summary.overall for summary in summaries.values()]
    counted = {
        "Median Dice": [number(one.measures["dice"].median, 3) for one in groups],
        "Bleeds found": [f"{one.found} of {one.bleeds}" for one in groups],
        "Negatives with false positives": [f"{one.false_alarms} of {one.negatives}" for one in groups],
        "Most false positives on a negative, mL": [number(one.worst_false_positive_ml, 2) for one in groups],
        "Lesions found": [f"{one.lesions_found} of {one.lesions_ref}" for one in groups],
        "False lesions": [f"{one.lesions_false} of {one.lesions_pred} predicted" for one in groups],
        "Lesion-wise F1, all lesions together": [number(one.lesion_f1, 3) for one in groups],
        "Area under the ROC curve, by volume": [area_text(summary.detection) for summary in summaries.values()],
    }
    rows = [_row(summaries, measure) for measure in VOLUME_MEASURES]
    return rows + [{"title": title, "note": "", "cells": cells, "over": ""} for title, cells in counted.items()]


def _difference_rows(named: Mapping[str, Difference]) -> list[dict[str, str]]:
    rows = []
    for measure in MEASURES:
        one = named[measure.name]
        where = " (slices)" if measure in SLICE_MEASURES else ""
        rows.append(
            {
                "title": f"{measure.heading}{where}",
                "difference": f"{number(one.mean, measure.digits)} {interval_text(one.low, one.high, measure.digits)}",
                "p": "< 0.001" if one.p < 0.001 else number(one.p, 3),
                "n": str(one.n),
            }
        )
    return rows


def _plots(scores: Scores, summaries: Mapping[str, ModelSummary]) -> list[dict[str, str]]:
    dice = next(measure for measure in VOLUME_MEASURES if measure.name == "dice")
    drawn = {"Dice of scans with a bleed": plots.dice_distribution({m: values(c, dice) for m, c in scores.items()})}
    for place, (model, cases) in enumerate(scores.items()):
        volumes = [one.volume for one in cases if one.bleeds]
        which = f", {model}" if len(scores) > 1 else ""
        drawn[f"Volume of scans with a bleed (Bland-Altman){which}"] = plots.bland_altman(
            [one.volume_ml_ref for one in volumes],
            [one.volume_ml_pred for one in volumes],
            colour=plots.COLOURS[place % len(plots.COLOURS)],
        )
    found = {model: summary.detection for model, summary in summaries.items()}
    curves = {model: (one.false_rate, one.true_rate, one.area) for model, one in found.items() if one is not None}
    if curves:
        drawn["Scans with a bleed told from those without, by a threshold of predicted volume"] = plots.roc(curves)
    return [
        {"title": title, "uri": "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()}
        for title, svg in drawn.items()
    ]


def _parts(summaries: Mapping[str, ModelSummary]) -> list[dict[str, Any]]:
    measures = [one for one in VOLUME_MEASURES if one.name in _PART_MEASURES]
    found = []
    for by, (title, note) in _PARTS.items():
        names = next(iter(summaries.values())).by[by]
        if not names:
            continue
        rows = [
            {
                "name": name,
                "models": [
                    {"name": model, "count": f"{one.bleeds} / {one.negatives}", "cells": _cells(one, measures)}
                    for model, one in ((model, summary.by[by][name]) for model, summary in summaries.items())
                ],
            }
            for name in names
        ]
        columns = [one.heading for one in measures]
        found.append({"title": title, "note": note, "columns": columns, "rows": rows})
    return found


def _cells(one: Group, measures: Sequence[Measure]) -> list[tuple[str, str]]:
    """Mean and interval of each."""
    estimates = [(one.measures[measure.name], measure.digits) for measure in measures]
    return [(number(found.mean, digits), interval_text(found.low, found.high, digits)) for found, digits in estimates]


def _paper_rows(summaries: Mapping[str, ModelSummary]) -> list[dict[str, Any]]:
    papers = [summary.paper for summary in summaries.values()]
    lesion, slices = papers[0].slices_with_lesion, papers[0].slices
    return [
        {"title": title, "cells": [number(getattr(one, name), 4) for one in papers], "slices": count}
        for title, name, count in (
            ("all slices", "all_slices", slices),
            ("slices with lesion", "with_lesion", lesion),
            ("slices without", "without_lesion", slices - lesion),
        )
    ]


def _worst(title: str, scores: Scores, pictures: Pictures, *, bleeds: bool) -> dict[str, Any]:
    cases = worst_cases(scores, WORST_BLEEDS if bleeds else WORST_NEGATIVES, bleeds=bleeds)
    return {
        "title": title,
        "pictures": any(case in pictures for case, _ in cases),
        "cases": [
            {
                "name": case,
                "models": [
                    {
                        "model": model,
                        "words": _words(one),
                        "uri": data_uri(pictures[case][model]) if case in pictures else "",
                    }
                    for model, one in by_model.items()
                ],
            }
            for case, by_model in cases
        ],
    }


def _words(one: CaseScores) -> str:
    volume = one.volume
    said = f"prediction {number(volume.volume_ml_pred, 1)} mL"
    kinds = f"; {', '.join(one.attributes.subtype_names)}" if one.attributes.subtype_names else ""
    if not one.bleeds:
        return f"{said}, no bleed in the reference{kinds}"
    return (
        f"Dice {number(volume.dice, 3)}, {said}, reference {number(volume.volume_ml_ref, 1)} mL, "
        f"HD95 {number(volume.hd95_mm, 1)} mm{kinds}"
    )


def _cases(scores: Scores) -> list[list[str]]:
    rows = [
        [
            one.case,
            *([model] if len(scores) > 1 else []),
            number(one.volume.volume_ml_ref, 2),
            number(one.volume.volume_ml_pred, 2),
            number(one.volume.dice, 3) if one.bleeds else "–",
            number(one.volume.hd95_mm, 1),
            number(one.volume.assd_mm, 2),
            f"{one.volume.lesions_found} of {one.volume.lesions_ref}",
            str(one.volume.lesions_false),
            ", ".join(one.attributes.subtype_names),
        ]
        for model, cases in scores.items()
        for one in cases
    ]
    return sorted(rows, key=lambda row: row[0])
