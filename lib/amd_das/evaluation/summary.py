"""All cases of a model in a few numbers, over the whole set and over its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from amd_das.datasets.folders import SUBTYPES
from amd_das.evaluation.attributes import CLASSES, NONE
from amd_das.evaluation.measures import MEASURES, values
from amd_das.evaluation.metrics import lesion_f1, paper_slice_dice
from amd_das.evaluation.scoring import CaseScores, Scores
from amd_das.evaluation.statistics import Detection, Difference, Estimate, detection, difference, estimate


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some cases of one model in numbers."""

    bleeds: int
    negatives: int
    """Scans whose reference shows a lesion, and scans without."""

    found: int
    """Scans with a bleed in which some of it is predicted."""

    false_alarms: int
    """Negatives with any prediction."""

    lesions_ref: int
    lesions_found: int
    lesions_pred: int
    lesions_false: int
    """Over all scans together."""

    lesion_f1: float
    """Of all lesions of all scans together."""

    worst_false_positive_ml: float
    """On negatives."""

    measures: Mapping[str, Estimate]
    """By name of MEASURES: the mean over scans."""


@dataclass(frozen=True, kw_only=True)
class PaperDice:
    """Mean Dice of slices as the paper counts it, each slice alike whichever scan it is of."""

    all_slices: float
    with_lesion: float
    without_lesion: float
    nothing: float
    """Of all slices, what a model would score that predicts nothing anywhere."""

    slices: int
    slices_with_lesion: int


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """One model on the whole set."""

    overall: Group
    by: Mapping[str, Mapping[str, Group]]
    """ "subtype", "volume" and "scanner" → name of the part → its cases; a scan of two subtypes is in both."""

    paper: PaperDice
    detection: Detection | None


def summarise(cases: Sequence[CaseScores]) -> ModelSummary:
    """All cases of one model."""
    subtypes = {name: [one for one in cases if name in one.attributes.subtype_names] for name in (*SUBTYPES, NONE)}
    classes = {name: [one for one in cases if one.volume_class == name] for name in CLASSES}
    names = sorted({one.attributes.scanner for one in cases} - {""})
    scanners = {name: [one for one in cases if one.attributes.scanner == name] for name in names}
    parts = {"subtype": subtypes, "volume": classes, "scanner": scanners}
    return ModelSummary(
        overall=group(cases),
        by={by: {name: group(some) for name, some in part.items() if some} for by, part in parts.items()},
        paper=_paper(cases),
        detection=detection([one.bleeds for one in cases], [one.volume.volume_ml_pred for one in cases]),
    )


def group(cases: Sequence[CaseScores]) -> Group:
    """Some cases of one model."""
    bleeds = [one.volume for one in cases if one.bleeds]
    negatives = [one.volume for one in cases if not one.bleeds]
    volumes = [one.volume for one in cases]
    ref, found = sum(v.lesions_ref for v in volumes), sum(v.lesions_found for v in volumes)
    pred, false = sum(v.lesions_pred for v in volumes), sum(v.lesions_false for v in volumes)
    return Group(
        bleeds=len(bleeds),
        negatives=len(negatives),
        found=sum(v.lesions_found > 0 for v in bleeds),
        false_alarms=sum(v.lesions_pred > 0 for v in negatives),
        lesions_ref=ref,
        lesions_found=found,
        lesions_pred=pred,
        lesions_false=false,
        lesion_f1=lesion_f1(ref=ref, found=found, pred=pred, false=false),
        worst_false_positive_ml=max((v.volume_ml_pred for v in negatives), default=nan),
        measures={measure.name: estimate(values(cases, measure)) for measure in MEASURES},
    )


def compare(scores: Scores) -> dict[str, dict[str, Difference]]:
    """Every model but the first against the first: model → name of a measure → the paired difference."""
    (_, base), *others = scores.items()
    return {
        model: {measure.name: difference(values(base, measure), values(cases, measure)) for measure in MEASURES}
        for model, cases in others
    }


def _paper(cases: Sequence[CaseScores]) -> PaperDice:
    dice = np.concatenate([one.slices.paper_dice for one in cases])
    pixels = np.concatenate([one.slices.pixels_ref for one in cases])
    lesion = pixels > 0
    return PaperDice(
        all_slices=float(dice.mean()),
        with_lesion=float(dice[lesion].mean()) if lesion.any() else nan,
        without_lesion=float(dice[~lesion].mean()) if not lesion.all() else nan,
        nothing=float(paper_slice_dice(np.zeros_like(pixels), pixels, np.zeros_like(pixels)).mean()),
        slices=len(dice),
        slices_with_lesion=int(lesion.sum()),
    )
