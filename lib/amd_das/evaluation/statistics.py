"""What can be said of all scans from those at hand: intervals by the bootstrap, and tests of paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 9999
"""Of scans; scipy's default."""

AREA_RESAMPLES: Final = 1000
"""For the area under a curve, which takes longer (ours)."""

_FEWEST: Final = 3  # values from which an interval is given
_BATCH: Final = 1000  # resamples at a time, to bound the memory


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over scans."""

    n: int
    """Scans in which the number is defined."""

    mean: float
    """nan where there is none."""

    median: float = nan

    low: float = nan
    high: float = nan
    """95 % interval (bootstrap over scans, BCa); nan with fewer than three scans."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of a number between two models on the same scans."""

    n: int
    """Scans in which it is defined under both."""

    mean: float
    low: float
    high: float
    """Mean of the differences, second model less first, and its 95 % interval (bootstrap over scans, BCa)."""

    p: float
    """Wilcoxon signed-rank test, two-sided, not corrected for the number of tests; nan with fewer than three scans."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How well the predicted volume tells scans with a bleed from those without."""

    false_rate: np.ndarray
    true_rate: np.ndarray
    """(n,) 1 - specificity and sensitivity over scans, as the volume asked for falls."""

    threshold_ml: np.ndarray
    """(n,) that volume; infinity first."""

    area: float
    low: float
    high: float
    """Area under the curve and its 95 % interval (bootstrap within both groups, percentile)."""


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of what is defined (not nan), and its interval."""
    kept = np.asarray(values, float)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return Estimate(n=0, mean=nan)
    low, high = _interval(kept)
    return Estimate(n=len(kept), mean=float(kept.mean()), median=float(np.median(kept)), low=low, high=high)


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Second less first, pair by pair, where both are defined."""
    apart = np.asarray(second, float) - np.asarray(first, float)
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return Difference(n=0, mean=nan, low=nan, high=nan, p=nan)
    low, high = _interval(apart)
    p = nan
    if len(apart) >= _FEWEST:
        p = float(stats.wilcoxon(apart).pvalue) if apart.any() else 1.0
    return Difference(n=len(apart), mean=float(apart.mean()), low=low, high=high, p=p)


def detection(bleeds: Sequence[bool], volumes_ml: Sequence[float]) -> Detection | None:
    """The ROC curve over a threshold of volume; None where all scans are of one kind.

    Args:
        bleeds: whether the reference shows one.
        volumes_ml: predicted.
    """
    true, said = np.asarray(bleeds, bool), np.asarray(volumes_ml, float)
    if true.all() or not true.any():
        return None
    false_rate, true_rate, thresholds = roc_curve(true, said, drop_intermediate=False)

    def area(with_bleed: np.ndarray, without: np.ndarray) -> float:
        label = np.repeat([True, False], [len(with_bleed), len(without)])
        return float(roc_auc_score(label, np.concatenate([with_bleed, without])))

    groups = said[true], said[~true]
    low = high = nan
    if min(map(len, groups)) >= _FEWEST:
        low, high = stats.bootstrap(
            groups,
            area,
            n_resamples=AREA_RESAMPLES,
            vectorized=False,
            method="percentile",
            confidence_level=CONFIDENCE,
            rng=np.random.default_rng(0),
        ).confidence_interval
    return Detection(
        false_rate=false_rate,
        true_rate=true_rate,
        threshold_ml=thresholds,
        area=area(*groups),
        low=float(low),
        high=float(high),
    )


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) < _FEWEST:
        return nan, nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    low, high = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(low), float(high)
