"""Plots of scores as SVG text, to be shown as an image (``<img>``) so that neither styles nor names of a page matter.

Drawn with figures of their own, never with pyplot's: several threads may draw. The same numbers give the same bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amd_das.conventions import COLOUR_RGB

COLOURS: Final = ("#{:02x}{:02x}{:02x}".format(*COLOUR_RGB), "#1a5fb4", "#2e8b57", "#8a5fb4", "#b08a1a")
"""One for each model, in order."""

LIMITS_SD: Final = 1.96
"""Limits of agreement, standard deviations about the mean (Bland and Altman 1986)."""

_STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "amd-das",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.axisbelow": True,
}
_EMPTY: Final = "nothing to show"


def dice_distribution(groups: Mapping[str, Sequence[float]]) -> str:
    """Dice of every volume as a point, and a box from the first to the third quartile, for each group.

    Args:
        groups: name → Dice of each volume in [0, 1]; nan is left out.
    """
    kept = {name: _finite(values) for name, values in groups.items()}
    figure, axes = _figure(max(4.2, 1.4 + 1.25 * len(kept)), 3.6)
    for place, (name, values) in enumerate(kept.items()):
        colour = COLOURS[place % len(COLOURS)]
        if not len(values):
            continue
        axes.boxplot(
            values,
            positions=[place],
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": "none", "edgecolor": "#777777"},
            medianprops={"color": "black", "linewidth": 1.5},
            whiskerprops={"color": "#777777"},
            capprops={"color": "#777777"},
        )
        axes.scatter(place + _aside(values), values, s=16, color=colour, alpha=0.75, linewidths=0, label=name)
    axes.set(ylim=(-0.02, 1.02), xlim=(-0.6, len(kept) - 0.4), ylabel="Dice")
    axes.set_xticks(range(len(kept)), [f"{name}\n(n = {len(values)})" for name, values in kept.items()])
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    return svg(figure)


def bland_altman(ref_ml: Sequence[float], pred_ml: Sequence[float], *, colour: str = COLOURS[0]) -> str:
    """Volume error of each scan over the mean of both volumes, with the bias and the limits of agreement.

    Args:
        ref_ml: volume of the reference, mL.
        pred_ml: volume of the prediction, mL, in the same order.
        colour: of the points.
    """
    ref, pred = np.asarray(ref_ml, float), np.asarray(pred_ml, float)
    known = np.isfinite(ref) & np.isfinite(pred)
    mean, error = (ref + pred)[known] / 2, (pred - ref)[known]
    figure, axes = _figure(5.2, 3.6)
    if not len(mean):
        axes.text(0.5, 0.5, _EMPTY, ha="center", transform=axes.transAxes)
    else:
        axes.scatter(mean, error, s=20, color=colour, alpha=0.8, linewidths=0)
        bias = float(error.mean())
        spread = LIMITS_SD * float(error.std(ddof=1)) if len(error) > 1 else 0.0
        lines = {f"bias: {bias:+.1f}": bias}
        if spread:
            lines |= {f"+{LIMITS_SD} SD: {bias + spread:+.1f}": bias + spread}
            lines |= {f"−{LIMITS_SD} SD: {bias - spread:+.1f}": bias - spread}
        axes.axhline(0, color="#bbbbbb", linewidth=0.8)
        for words, height in lines.items():
            axes.axhline(height, color="black", linewidth=1, linestyle="-" if height == bias else "--")
            axes.annotate(
                words.replace("-", "−"),
                (1, height),
                xytext=(4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axes.set_xlim(left=min(0.0, float(mean.min())))
    axes.set(xlabel="mean of both volumes, mL", ylabel="prediction − reference, mL")
    return svg(figure)


def roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> str:
    """How well the predicted volume tells scans with a bleed from those without.

    Args:
        curves: name → false-positive rate, true-positive rate (each (n,)), area under the curve.
    """
    figure, axes = _figure(4.2, 3.6)
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    for place, (name, (false, true, area)) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(false, true, color=colour, linewidth=1.8, label=f"{name}: AUC {area:.3f}", clip_on=False)
    if curves:
        axes.legend(loc="lower right", fontsize=9, frameon=False)
    else:
        axes.text(0.5, 0.5, _EMPTY, ha="center", transform=axes.transAxes)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 − specificity (scans)", ylabel="sensitivity (scans)", aspect="equal")
    return svg(figure)


def draw(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row; inches, of 72 pixels each."""
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def svg(figure: Figure) -> str:
    """The figure as SVG text, the same bytes for the same numbers."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return re.sub(r"<!--.*?-->\s*", "", text[text.index("<svg") :], flags=re.DOTALL)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = draw(width, height)
    return figure, axes


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, float)
    return array[np.isfinite(array)]


def _aside(values: np.ndarray) -> np.ndarray:
    """Sideways shifts, the same at each call, so that points do not hide one another."""
    return np.random.default_rng(0).uniform(-0.18, 0.18, len(values))
