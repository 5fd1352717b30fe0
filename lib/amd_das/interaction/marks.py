"""What a user points at: clicks and strokes, as voxels of the image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from amd_das.components import Components
from amd_das.errors import InputError

MAX_CLICKS: Final = 500
"""More clicks than anybody makes on one scan; a request with more is a mistake (ours)."""


class MarkError(InputError):
    """Clicks or strokes that cannot be followed: outside the image, or contradicting each other."""

    status = 400
    code = "bad_marks"


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """Foreground and background, each a tuple of marks; their order means nothing.

    A mark is one click or one stroke: (n, 3) int voxel numbers (i, j, k) of the image's array, which is the order in
    which 3D Slicer and OHIF count (column, row, slice for DICOM).
    """

    foreground: tuple[np.ndarray, ...] = ()
    background: tuple[np.ndarray, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.foreground or self.background)

    def voxels(self, *, foreground: bool) -> np.ndarray:
        """(n, 3) int, all voxels of one side."""
        marks = self.foreground if foreground else self.background
        return np.concatenate([np.zeros((0, 3), np.int64), *marks])


def from_clicks(
    foreground: Iterable[Sequence[float]], background: Iterable[Sequence[float]], shape: tuple[int, int, int]
) -> Marks:
    """Clicks as clients send them.

    Args:
        foreground: (i, j, k) of each click on hemorrhage; fractions are rounded to the nearest voxel.
        background: the same for what is none.
        shape: (I, J, K) of the image.

    Raises:
        MarkError: a click is no point, lies outside the image, or the same voxel is clicked as both.
    """
    sides = [
        sorted({_voxel(click, shape, side) for click in clicks})
        for clicks, side in ((foreground, "foreground"), (background, "background"))
    ]
    if sum(map(len, sides)) > MAX_CLICKS:
        raise MarkError(f"{sum(map(len, sides))} clicks came; at most {MAX_CLICKS} are taken")
    if both := sorted(set(sides[0]) & set(sides[1])):
        raise MarkError(f"voxel {list(both[0])} is clicked as foreground and as background; take one of the two back")
    fore, back = (tuple(np.array([voxel]) for voxel in side) for side in sides)
    return Marks(foreground=fore, background=back)


def from_strokes(foreground: np.ndarray, background: np.ndarray) -> Marks:
    """Painted voxels, (I, J, K) bool each, as strokes: what touches is one.

    Raises:
        MarkError: a voxel is painted as both.
    """
    if (both := foreground & background).any():
        raise MarkError(f"{int(both.sum())} voxels are painted as foreground and as background; erase one of the two")
    strokes = [Components.of(painted).places() for painted in (foreground, background)]
    return Marks(foreground=tuple(strokes[0]), background=tuple(strokes[1]))


def _voxel(click: Sequence[float], shape: tuple[int, int, int], side: str) -> tuple[int, int, int]:
    try:
        point = np.asarray(click, np.float64)
    except (TypeError, ValueError):
        point = np.full(1, np.nan)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise MarkError(f"a {side} click is {str(click)[:80]}; expected three numbers [i, j, k], a voxel of the image")
    i, j, k = (int(number) for number in np.floor(point + 0.5))
    if not all(0 <= number < length for number, length in zip((i, j, k), shape, strict=True)):
        raise MarkError(
            f"the {side} click {[i, j, k]} lies outside the image, which has {' x '.join(map(str, shape))} voxels "
            "counted from 0; click inside it, and check that the clicks belong to this image"
        )
    return i, j, k
