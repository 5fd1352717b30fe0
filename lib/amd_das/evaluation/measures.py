"""The numbers that are reported of each scan, and how to speak of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import nan
from typing import Final, Literal

import numpy as np

from amd_das.evaluation.scoring import CaseScores

Over = Literal["bleeds", "negatives", "all"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number each case has, and how to speak of it."""

    name: str
    """In CSV and JSON."""

    title: str
    over: Over
    """Scans whose reference shows a lesion, those without, or both."""

    of: Callable[[CaseScores], float]
    unit: str = ""
    digits: int = 3
    note: str = ""

    skewed: bool = False
    """A few scans make up most of its mean, so that the median is told too."""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


def _slices(values: Callable[[CaseScores], np.ndarray], lesion: bool | None = None) -> Callable[[CaseScores], float]:
    """The mean over a case's slices: all, those with lesion, or those without; nan where there are none."""

    def mean(one: CaseScores) -> float:
        found = values(one)
        if lesion is not None:
            found = found[(one.slices.pixels_ref > 0) == lesion]
        found = found[np.isfinite(found)]
        return float(found.mean()) if len(found) else nan

    return mean


VOLUME_MEASURES: Final = (
    Measure(name="dice", title="Dice", over="bleeds", of=lambda one: one.volume.dice),
    Measure(name="sensitivity", title="Sensitivity (voxels)", over="bleeds", of=lambda one: one.volume.sensitivity),
    Measure(
        name="precision",
        title="Precision (voxels)",
        over="bleeds",
        of=lambda one: one.volume.precision,
        note="undefined where nothing is predicted",
    ),
    Measure(
        name="specificity",
        title="Specificity (voxels)",
        over="all",
        of=lambda one: one.volume.specificity,
        digits=5,
        note="of the whole image, air included: near 1 for any model",
    ),
    Measure(
        name="hd95_mm",
        title="HD95",
        over="bleeds",
        of=lambda one: one.volume.hd95_mm,
        unit="mm",
        digits=1,
        skewed=True,
        note="undefined where nothing is predicted",
    ),
    Measure(
        name="assd_mm",
        title="ASSD",
        over="bleeds",
        of=lambda one: one.volume.assd_mm,
        unit="mm",
        digits=2,
        skewed=True,
        note="undefined where nothing is predicted",
    ),
    Measure(
        name="volume_bias_ml",
        title="Volume bias",
        over="bleeds",
        of=lambda one: one.volume.volume_error_ml,
        unit="mL",
        digits=2,
        note="prediction less reference",
    ),
    Measure(
        name="volume_error_ml",
        title="Volume error, absolute",
        over="bleeds",
        of=lambda one: abs(one.volume.volume_error_ml),
        unit="mL",
        digits=2,
        skewed=True,
    ),
    Measure(
        name="lesion_f1",
        title="Lesion-wise F1",
        over="bleeds",
        of=lambda one: one.volume.lesion_f1,
        note="mean over scans",
    ),
    Measure(
        name="false_positive_ml",
        title="False positives on negatives",
        over="negatives",
        of=lambda one: one.volume.volume_ml_pred,
        unit="mL",
        digits=2,
    ),
)
"""Of whole volumes."""

SLICE_MEASURES: Final = (
    Measure(name="slice_dice", title="Dice", over="bleeds", of=_slices(lambda one: one.slices.dice, True)),
    Measure(
        name="slice_sensitivity",
        title="Sensitivity",
        over="bleeds",
        of=_slices(lambda one: one.slices.sensitivity, True),
    ),
    Measure(
        name="slice_precision",
        title="Precision",
        over="bleeds",
        of=_slices(lambda one: one.slices.precision, True),
        note="undefined where nothing is predicted",
    ),
    Measure(
        name="slice_specificity",
        title="Specificity",
        over="all",
        of=_slices(lambda one: one.slices.specificity),
        digits=5,
        note="of all slices",
    ),
)
"""Of slices whose reference shows lesion: the mean over a scan's slices, then over scans."""

MEASURES: Final = (*VOLUME_MEASURES, *SLICE_MEASURES)


def values(cases: Iterable[CaseScores], measure: Measure) -> list[float]:
    """A number of each case; nan in cases it is not said of."""
    wanted = {"bleeds": (True,), "negatives": (False,), "all": (True, False)}[measure.over]
    return [measure.of(one) if one.bleeds in wanted else nan for one in cases]
