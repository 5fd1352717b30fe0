"""Curves of what a training measured, as SVG text: a panel for each loss, since their sizes differ."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.ticker import MaxNLocator

from amd_das.evaluation.plots import COLOURS, draw, svg

_COLUMNS: Final = 3
_LINE: Final = COLOURS[1]


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[int], list[float]]]:
    """Name → steps and values, losses first; what is not finite is left out.

    Args:
        history: entries as :mod:`amd_das.training.history` reads them.
    """
    found: dict[str, tuple[list[int], list[float]]] = {}
    for kind, shown in (("losses", "loss"), ("validation", "validation")):
        for entry in history:
            for name, value in (entry.get(kind) or {}).items():
                if isinstance(value, int | float) and math.isfinite(value):
                    steps, values = found.setdefault(f"{shown}: {name}", ([], []))
                    steps.append(int(entry["step"]))
                    values.append(float(value))
    return found


def loss_curves(history: Sequence[Mapping[str, Any]], most: int) -> str:
    """Small panels side by side, each with its own scale, over the training's steps; at most so many."""
    shown = list(curves(history).items())[:most]
    columns = max(1, min(_COLUMNS, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    figure, panels = draw(2.6 * columns, 1.65 * rows, rows, columns)
    for panel, (name, (steps, values)) in zip(panels, shown, strict=False):
        panel.plot(steps, values, color=_LINE, linewidth=1.4, marker="o" if len(steps) == 1 else None, markersize=4)
        panel.set_title(name.replace("_", " "), fontsize=10, loc="left")
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(3))
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    if not shown:
        panels[0].text(0.5, 0.5, "nothing measured yet", ha="center", va="center")
    return svg(figure)
