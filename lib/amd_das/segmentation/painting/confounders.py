"""What a segmenter takes for a bleed in the brain's tissue and is none: each brush lays one kind over a slice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from scipy.ndimage import (
    affine_transform,
    binary_dilation,
    distance_transform_edt,
    gaussian_filter,
    label,
    maximum,
)

from amd_das.preprocessing.density import CSF_BELOW_HU
from amd_das.segmentation.painting.canvas import DEEP_PX, Canvas, blank, hills
from amd_das.segmentation.painting.ventricles import of_size, ventricles

_WIDENED: Final = 0.25
"""Blood widens a ventricle by so much of its size at most, on each side."""

_SOFT_PX: Final = 2.0
"""A ventricle's own edge, too bright to count as dark, is as wide at most."""

_LEAST_VENTRICLE_PX: Final = 60
"""Less, filled with blood, could not be told from a small bleed in the tissue."""

_POCKET_PX: Final = (40, 900)
_POCKET_ROUND: Final = 0.33
"""A pocket is a piece of the ventricles of such a size, whose widest place reaches from its wall at least this part of
the square root of its size: 0.56 in a disc, 0.4 in an ellipse twice as long as wide. Horns and the fourth are such,
the bodies and the third are not."""

_ONE_POCKET: Final = 0.3
"""Of slices with several: one alone is filled."""

_POCKET_WIDENED_PX: Final = 3.0
"""A pocket's own edge, too bright to count as dark, and what a clot adds."""

_EDEMA_PX: Final = 12
"""Around a lesion, darkness may be its own."""

_SPARED: Final = 0.6
"""Of infarcts: islands of cortex are alive."""

_CENTRAL_PX: Final = 8.0
"""So near to the midline, a small one is the third or the fourth."""


def _bone(canvas: Canvas) -> None:
    rng = canvas.rng
    for _ in range(rng.integers(1, 4)):
        place = canvas.somewhere(canvas.brain & (canvas.depth < rng.choice([4, 12, 25])))
        if place is not None:
            region = canvas.bar(place, rng.uniform(6, 36), rng.uniform(3, 11), rng.uniform(0, np.pi))
            canvas.cover(region, rng.choice([110.0, rng.uniform(70, 110)]))


def _calcium(canvas: Canvas) -> None:
    rng = canvas.rng
    for _ in range(rng.integers(1, 4)):
        place = canvas.somewhere(canvas.brain & ~canvas.lesion)
        if place is not None:
            size = rng.uniform(2, 9)
            region = canvas.bar(place, size * rng.uniform(1, 1.8), size, rng.uniform(0, np.pi))
            canvas.cover(region & ~canvas.lesion, rng.uniform(100, 140))  # fresh blood reaches 90


def _falx(canvas: Canvas) -> None:
    rng = canvas.rng
    hu, tilt = rng.uniform(38, 80), rng.normal(0, 0.06)
    front, back = sorted(rng.uniform(-1.1, 1.1, 2) * canvas.half[0])
    middle = canvas.middle[1] + rng.normal(0, 2)
    down = canvas.rows - canvas.middle[0]
    bow = rng.normal(0, 3) * (1 - (down / max(canvas.half[0], 1)) ** 2)
    beside = np.abs(canvas.columns - middle - tilt * down - bow)
    sheet = canvas.brain & (beside < rng.uniform(0.6, 1.8)) & (down > front) & (down < back)
    canvas.cover(sheet, hu, under_lesion=True)
    for end in (-1, 1):  # the sagittal sinus in front and behind
        if rng.random() < 0.5:
            column = middle + end * tilt * canvas.half[0]
            row = canvas.middle[0] + end * canvas.half[0] * rng.uniform(0.93, 1.0)
            canvas.cover(canvas.bar((row, column), rng.uniform(5, 14), rng.uniform(4, 12), 0.0), rng.uniform(45, 75))
    if rng.random() < 0.4:  # the tentorium's edge, or a transverse sinus
        place = canvas.somewhere(canvas.brain & (canvas.depth < 25) & (canvas.rows > canvas.middle[0]))
        if place is not None:
            region = canvas.bar(place, rng.uniform(20, 70), rng.uniform(2, 6), rng.normal(0, 0.9))
            canvas.cover(region, rng.uniform(42, 75), under_lesion=True)


def _sinus(canvas: Canvas) -> None:
    rng = canvas.rng
    place = canvas.somewhere(canvas.brain & (canvas.depth < 3) & (canvas.rows > canvas.middle[0]))
    if place is not None:
        region = canvas.bar(place, rng.uniform(6, 26), rng.uniform(4, 14), rng.uniform(0, np.pi))
        canvas.cover(region & (canvas.depth < rng.uniform(3, 8)), rng.uniform(42, 78))


def _streaks(canvas: Canvas) -> None:
    rng = canvas.rng
    place = canvas.somewhere(canvas.brain & (canvas.depth < 20))
    if place is None:
        return
    down, across = canvas.rows - place[0], canvas.columns - place[1]
    angle, distance = np.arctan2(across, down), np.hypot(down, across)
    rays = sum(
        np.sin(n * angle + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.3, 1) for n in rng.integers(5, 40, 4).tolist()
    )
    reach = np.exp(-distance / rng.uniform(20, 70))
    canvas.hu = canvas.hu + rng.uniform(15, 60) * rays * reach
    if rng.random() < 0.7:
        canvas.cover(canvas.bar(place, rng.uniform(3, 10), rng.uniform(3, 10), 0.0), 110.0)


def _subdural(canvas: Canvas) -> None:
    rng = canvas.rng
    angle = np.arctan2(canvas.columns - canvas.middle[1], canvas.rows - canvas.middle[0])
    away = np.abs((angle - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi)
    lens = rng.random() < 0.4
    thickest, half = (
        (rng.uniform(8, 30), rng.uniform(0.3, 0.7)) if lens else (rng.uniform(3, 20), rng.uniform(0.5, 1.7))
    )
    thickness = thickest * np.clip(1 - (away / half) ** 2, 0, None)
    canvas.flood(canvas.brain & (canvas.depth < thickness), rng.uniform(42, 90))


@dataclass(frozen=True, kw_only=True)
class _Habit:
    """How blood lies in CSF; parts are of the slices that receive some (ours)."""

    places: tuple[float, float, float, float]
    """Parts: anywhere it is dark; in ventricles; in another slice's ventricles, laid over this slice; in pockets of
    the ventricles, to the wall."""

    settled: float
    """Of blood in ventricles: it has sunk to the back."""

    one_sided: float
    """Of settled blood: on one side only."""

    clotted: float
    """Of blood in ventricles: a clot with fluid around it."""

    widening: float
    """Of other blood in ventricles: it widens them. Fresh or settled, it fills them as they are."""

    central: bool
    """Small ventricles in the middle are filled too: the third, the fourth."""

    least_free: float
    """At least this part of the ventricles, in front, stays free of settled blood."""

    least_px: int
    """Darkness of fewer pixels is noise, not CSF: blood there would look like a small bleed."""

    reach_px: float
    """Blood that has not settled reaches at most so far."""

    densest_hu: float


_USUAL: Final = _Habit(
    places=(0.35, 0.35, 0.3, 0.0),
    settled=0.4,
    one_sided=0.6,
    clotted=0.0,
    widening=1.0,
    central=False,
    least_free=0.2,
    least_px=1,
    reach_px=70,
    densest_hu=80,
)
_SETTLED: Final = replace(
    _USUAL,
    places=(0.1, 0.3, 0.25, 0.35),
    settled=0.6,
    one_sided=0.3,
    clotted=0.1,
    widening=0.5,
    central=True,
    least_free=0.05,
    least_px=25,
    reach_px=90,
    densest_hu=85,
)


def _csf_blood(canvas: Canvas, habit: _Habit) -> None:
    space = _filled(canvas, habit)
    if space.any():
        canvas.flood(space & ~binary_dilation(canvas.lesion, iterations=2), canvas.rng.uniform(42, habit.densest_hu))


def _filled(canvas: Canvas, habit: _Habit) -> np.ndarray:
    """(H, W) bool, what blood fills."""
    kind = canvas.rng.choice(["anywhere", "ventricles", "borrowed", "pockets"], p=habit.places)
    if kind == "pockets" and (pockets := _some_pockets(canvas)).any():
        return pockets
    dark = canvas.dark() & (canvas.depth > 2)
    dark &= ~binary_dilation(canvas.lesion, iterations=6)  # the dark rim that pseudo-CT often have is no CSF
    dark = of_size(dark, habit.least_px)
    if kind == "ventricles":
        space = ventricles(canvas) & dark
    elif kind == "borrowed":
        space = of_size(_borrowed_ventricles(canvas), habit.least_px)
    else:
        kind, space = "anywhere", dark
    if kind != "anywhere" and not _told_apart(canvas, space, central=habit.central and kind == "ventricles"):
        kind, space = "anywhere", dark
    place = canvas.somewhere(space)
    if place is None:
        return np.zeros_like(canvas.brain)
    return _spread(canvas, space, place) if kind == "anywhere" else _in_ventricles(canvas, space, place, habit)


def _spread(canvas: Canvas, space: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The part of cisterns and sulci about a place that blood fills."""
    return _widened(canvas, space & _about(canvas, place, canvas.rng.uniform(15, 80)), canvas.rng.integers(0, 2))


def _in_ventricles(canvas: Canvas, space: np.ndarray, place: tuple[int, int], habit: _Habit) -> np.ndarray:
    """The part of ventricles about a place that blood fills: all that is near, what lies lowest, or a clot."""
    rng = canvas.rng
    drawn = rng.random()
    if drawn < habit.settled:
        right = canvas.columns > canvas.middle[1]
        if rng.random() < habit.one_sided:
            space = space & (right == right[place])
        space = space & (canvas.rows >= np.quantile(canvas.rows[space], rng.uniform(habit.least_free, 0.95)))
    else:
        space = space & _about(canvas, place, rng.uniform(12, habit.reach_px))
    if habit.settled <= drawn < habit.settled + habit.clotted:
        inner = distance_transform_edt(space)
        return inner > rng.uniform(0.5, max(0.5 * inner.max(), 0.5))
    widened = _WIDENED * np.sqrt(space.sum())
    if habit.widening < 1 and rng.random() >= habit.widening:
        widened = min(widened, _SOFT_PX)
    return _widened(canvas, space, rng.uniform(0, widened))


def _about(canvas: Canvas, place: tuple[int, int], reach_px: float) -> np.ndarray:
    return np.hypot(canvas.rows - place[0], canvas.columns - place[1]) < reach_px


def _widened(canvas: Canvas, space: np.ndarray, by_px: float) -> np.ndarray:
    return canvas.brain & (distance_transform_edt(~space) <= by_px) if space.any() else space


def _told_apart(canvas: Canvas, space: np.ndarray, *, central: bool) -> bool:
    """Whether ventricles full of blood can be told from a small bleed: by their size, or by lying in the middle."""
    if space.sum() >= _LEAST_VENTRICLE_PX:
        return True
    return central and bool(space.any()) and abs(canvas.columns[space].mean() - canvas.middle[1]) < _CENTRAL_PX


def _pockets(space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labelled pieces (H, W) of the ventricles, and the numbers of those that are pockets."""
    pieces, count = label(space)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    if count == 0:
        return pieces, np.empty(0, np.int64)
    widest = maximum(distance_transform_edt(space), pieces, np.arange(count + 1))
    least, most = _POCKET_PX
    is_pocket = (sizes >= least) & (sizes <= most) & (widest >= _POCKET_ROUND * np.sqrt(sizes))
    is_pocket[0] = False
    return pieces, np.flatnonzero(is_pocket)


def _some_pockets(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, what blood fills: one pocket, all, or all and the rest of the ventricles; a little widened."""
    rng = canvas.rng
    space = ventricles(canvas)
    pieces, numbers = _pockets(space)
    if not len(numbers):
        return np.zeros_like(canvas.brain)
    if rng.random() < _ONE_POCKET:
        space = pieces == rng.choice(numbers)
    else:
        space = np.isin(pieces, numbers) if rng.random() < 0.5 else space
    return _widened(canvas, space, rng.uniform(0, _POCKET_WIDENED_PX))


def _borrowed_ventricles(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, those of another slice, smaller or larger, in this one's middle: blood widens narrow ones."""
    rng = canvas.rng
    lender = None if canvas.lender is None else blank(canvas.lender, rng)
    if lender is None or not 0.75 < lender.brain.sum() / canvas.brain.sum() < 1.33:
        return np.zeros_like(canvas.brain)
    smaller = 1 / rng.uniform(0.6, 1.3)
    matrix = np.array([smaller, smaller * rng.choice([-1, 1])])
    space = affine_transform(
        ventricles(lender).astype(np.uint8), matrix, offset=lender.middle - matrix * canvas.middle, order=0
    )
    return (
        (space > 0)
        & canvas.ordinary(canvas.smooth())
        & (canvas.depth > DEEP_PX / 2)
        & ~binary_dilation(canvas.lesion, iterations=3)
    )


def _infarct(canvas: Canvas) -> None:
    rng = canvas.rng
    smooth = canvas.smooth()
    tissue = canvas.brain & ~canvas.dark() & (smooth > CSF_BELOW_HU) & canvas.ordinary(smooth)
    tissue &= ~binary_dilation(canvas.lesion, iterations=_EDEMA_PX)
    place = canvas.somewhere(tissue & (canvas.depth < rng.choice([12, 40])))
    if place is None:
        return
    length = rng.uniform(12, 110)
    reach = np.sqrt(canvas.reach(place, length, length * rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)))
    rough = rng.uniform(0.05, 0.3)
    uneven = hills(rng.standard_normal(canvas.hu.shape), rng.uniform(length / 8, length / 5))
    region = tissue & (reach + rough * uneven < 1)
    if rng.random() < _SPARED:
        islands = hills(rng.standard_normal(canvas.hu.shape), rng.uniform(2.0, 6.0)) > rng.uniform(0.7, 1.8)
        region &= ~islands | (canvas.depth > rng.uniform(15, 40))
    share = gaussian_filter(region.astype(np.float32), rng.uniform(0.8, 3.0)) * tissue
    canvas.hu = canvas.hu - share * np.clip(smooth - rng.uniform(10, 26), 0, 16)


CONFOUNDERS: Final[dict[str, Callable[[Canvas], None]]] = {
    "csf_blood": partial(_csf_blood, habit=_USUAL),
    "settled_blood": partial(_csf_blood, habit=_SETTLED),
    "infarct": _infarct,  # in what is no blood
    "subdural": _subdural,
    "falx": _falx,
    "sinus": _sinus,
    "calcium": _calcium,
    "bone": _bone,
    "streaks": _streaks,
}
"""In the order in which they are painted: what is farther out covers what is farther in."""
