"""The ``params`` of a correction, as 3D Slicer's and OHIF's MONAI Label plugins send them.

Followed: the Slicer plugin's MONAILabel.py (``onClickDeepgrow`` for more than one label, ``onUpdateScribbles``,
``getROIPointsXYZ``), the OHIF build in the monailabel 0.8.5 wheel (``PointPrompts``, type deepedit), and for scribbles
without names monailabel/scribbles/infer.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from amd_das.conventions import LABEL_NAME, LABELS
from amd_das.errors import ConfigError

BACKGROUND: Final = "background"
"""The label under which both clients collect clicks on what is no hemorrhage."""

FOREGROUND: Final = "foreground"
"""The key of other clicks from a client that knows no label names; the same as :data:`LABEL_NAME`."""

STARTS: Final = ("automatic", "nothing")
"""What clicks correct, where no mask is sent."""

FOREGROUND_SCRIBBLES, BACKGROUND_SCRIBBLES = "foreground_scribbles", "background_scribbles"
"""What 3D Slicer calls the segments that strokes are painted in."""

_ABSENT = -1
"""Value of a segment that the file does not hold."""

CLICK_KEYS: Final = (LABEL_NAME, FOREGROUND, BACKGROUND, "label", "start")
SCRIBBLE_KEYS: Final = ("label_info", "roi", "selected_label_name", "start")


@dataclass(frozen=True, kw_only=True)
class ClickParams:
    """Where a user clicked: voxels (i, j, k) of the image, in the order of its file."""

    foreground: tuple[Any, ...]
    background: tuple[Any, ...]
    start: str


@dataclass(frozen=True, kw_only=True)
class ScribbleParams:
    """What the values in a file of scribbles mean."""

    foreground_value: int
    background_value: int
    label_value: int
    """Of the segment that is corrected, where the file holds it."""

    roi: tuple[int, int, int, int, int, int] | None
    """First and last voxel along i, j and k between which strokes count; None for the whole image."""

    start: str


def parse_clicks(given: Mapping[str, Any]) -> ClickParams:
    """Clicks under a label's name (3D Slicer and OHIF, type deepedit) or as "foreground"; raises ConfigError.

    ``label``, the segment selected in 3D Slicer, changes nothing: each side's clicks come under their own key.
    """
    if not isinstance(given.get("label") or "", str):
        raise ConfigError(f"params: 'label' is {json.dumps(given['label'])[:80]}; expected the name of a label")
    return ClickParams(
        foreground=(*_points(given, LABEL_NAME), *_points(given, FOREGROUND)),
        background=_points(given, BACKGROUND),
        start=_start(given),
    )


def parse_scribbles(given: Mapping[str, Any]) -> ScribbleParams:
    """Names and values of the segments in a file of scribbles; raises ConfigError.

    Without ``label_info``, strokes have the values that MONAI Label's own scribbles have beside as many labels.
    """
    values = {
        LABEL_NAME: LABELS[LABEL_NAME],
        BACKGROUND_SCRIBBLES: len(LABELS) + 1,
        FOREGROUND_SCRIBBLES: len(LABELS) + 2,
    }
    named: set[str] = set()
    infos = given.get("label_info") or []
    if isinstance(infos, Mapping) or not all(isinstance(info, Mapping) for info in infos):
        raise ConfigError('params: \'label_info\' should be a list such as [{"name": "foreground_scribbles", "id": 3}]')
    for info in infos:
        name = str(info.get("name"))
        value = info.get("id", values.get(name, 0))
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
            raise ConfigError(f"params: 'label_info' gives the id {json.dumps(value)[:80]}; expected a whole number")
        for other in [key for key, taken in values.items() if taken == value and key not in named]:
            values[other] = _ABSENT  # a default that another segment has taken
        values[name] = value
        named.add(name)
    selected = given.get("selected_label_name") or LABEL_NAME
    if not isinstance(selected, str) or selected not in values:
        known = ", ".join(sorted(values))
        raise ConfigError(f"params: 'selected_label_name' is {json.dumps(selected)[:80]}; 'label_info' names {known}")
    chosen = [values[name] for name in (FOREGROUND_SCRIBBLES, BACKGROUND_SCRIBBLES, selected)]
    present = [value for value in chosen if value != _ABSENT]
    if len({*present, 0}) != len(present) + 1:
        raise ConfigError(
            f"params: strokes on hemorrhage, strokes beside it and the label have the values {chosen}; expected three "
            "different ones above 0"
        )
    return ScribbleParams(
        foreground_value=chosen[0],
        background_value=chosen[1],
        label_value=chosen[2],
        roi=_roi(given.get("roi")),
        start=_start(given),
    )


def _points(given: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    points = given.get(key) or []
    if not isinstance(points, list):
        raise ConfigError(f"params: {key!r} is {json.dumps(points)[:80]}; expected a list of voxels [[i, j, k], …]")
    return tuple(points)


def _start(given: Mapping[str, Any]) -> str:
    start = given.get("start") or STARTS[0]
    if isinstance(start, list):  # OHIF returns the drop-down as it got it
        start = start[0]
    if start not in STARTS:
        raise ConfigError(f"params: 'start' is {json.dumps(start)[:80]}; expected one of {', '.join(STARTS)}")
    return str(start)


def _roi(given: Any) -> tuple[int, int, int, int, int, int] | None:
    if not given:
        return None
    if (
        not isinstance(given, list)
        or len(given) != 6
        or not all(isinstance(n, int) and not isinstance(n, bool) and abs(n) < 10**6 for n in given)
    ):
        raise ConfigError(
            f"params: 'roi' is {json.dumps(given)[:80]}; expected six whole numbers, first and last i, j and k"
        )
    (a, b), (c, d), (e, f) = (sorted(given[n : n + 2]) for n in (0, 2, 4))  # a flipped axis comes the other way round
    return a, b, c, d, e, f
