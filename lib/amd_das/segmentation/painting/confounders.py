"""What a segmenter takes for a bleed in the brain's tissue and is none: each brush lays one kind over a slice."""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.ndimage import affine_transform, binary_dilation, binary_opening, distance_transform_edt

from amd_das.segmentation.painting.canvas import Canvas, blank

_WIDENED: Final = 0.25
"""Blood widens a ventricle by so much of its size at most, on each side."""

_LEAST_VENTRICLE_PX: Final = 60
"""Less, filled with blood, could not be told from a small bleed in the tissue."""

_CENTRAL_PX: Final = 8.0
"""So near to the midline, a small one is the third or the fourth."""

_SETTLED, _CLOTTED, _ONE_SIDED = 0.4, 0.15, 0.35
"""Of blood in ventricles: it has sunk to the back, and then on one side only; or it is a clot with fluid around it."""

_DEEP_PX: Final = 18.0
"""So far from the outside, CSF is in a ventricle or a basal cistern."""


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
        place = canvas.somewhere(canvas.brain)
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
    if rng.random() < 0.4:  # a sigmoid or transverse sinus at the rim
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


def _csf_blood(canvas: Canvas) -> None:
    rng = canvas.rng
    dark = canvas.dark() & (canvas.depth > 2)
    dark &= ~binary_dilation(canvas.lesion, iterations=6)  # the dark rim that pseudo-CT often have is no CSF
    kind = rng.choice(["anywhere", "ventricles", "borrowed"], p=[0.3, 0.4, 0.3])
    if kind == "ventricles":
        space = _ventricles(canvas) & dark
    elif kind == "borrowed":
        space = _borrowed_ventricles(canvas)
    else:
        space = dark
    if kind != "anywhere" and not _told_apart(canvas, space, borrowed=kind == "borrowed"):
        kind, space = "anywhere", dark
    place = canvas.somewhere(space)
    if place is None:
        return
    space = _filled(canvas, space, place, ventricle=kind != "anywhere")
    canvas.flood(space & ~binary_dilation(canvas.lesion, iterations=2), rng.uniform(42, 85))


def _filled(canvas: Canvas, space: np.ndarray, place: tuple[int, int], *, ventricle: bool) -> np.ndarray:
    """The part of a space about a place that blood fills: all of it, what lies lowest, or a clot in it."""
    rng = canvas.rng
    settled, clot = (_SETTLED, _SETTLED + _CLOTTED) if ventricle else (0.0, 0.0)
    drawn = rng.random()
    if drawn < settled:  # it has sunk to the back, on both sides or on one
        right = canvas.columns > canvas.middle[1]
        if rng.random() < _ONE_SIDED:
            space = space & (right == right[place])
        space = space & (canvas.rows >= np.quantile(canvas.rows[space], rng.uniform(0.05, 0.95)))
    else:
        near = np.hypot(canvas.rows - place[0], canvas.columns - place[1])
        space = space & (near < (rng.uniform(12, 90) if ventricle else rng.uniform(15, 80)))
    if not space.any():
        return space
    if settled <= drawn < clot:  # fluid stays around it
        inner = distance_transform_edt(space)
        return inner > rng.uniform(0.5, 0.5 * inner.max())
    wider = rng.uniform(0, _WIDENED * np.sqrt(space.sum())) if ventricle else rng.integers(0, 2)
    return canvas.brain & (distance_transform_edt(~space) <= wider)


def _told_apart(canvas: Canvas, space: np.ndarray, *, borrowed: bool) -> bool:
    """Whether a ventricle full of blood can be told from a small bleed: by its size, or as the third or fourth here."""
    if space.sum() >= _LEAST_VENTRICLE_PX:
        return True
    central = space.any() and abs(canvas.columns[space].mean() - canvas.middle[1]) < _CENTRAL_PX
    return bool(central) and not borrowed


def _ventricles(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, those of a slice; and its basal cisterns."""
    return binary_opening(canvas.dark() & (canvas.depth > _DEEP_PX))


def _borrowed_ventricles(canvas: Canvas) -> np.ndarray:
    """(H, W) bool, those of another slice, smaller or larger, in this one's middle: blood widens narrow ones."""
    rng = canvas.rng
    lender = None if canvas.lender is None else blank(canvas.lender, rng)
    if lender is None or not 0.75 < lender.brain.sum() / canvas.brain.sum() < 1.33:
        return np.zeros_like(canvas.brain)
    smaller = 1 / rng.uniform(0.6, 1.3)
    matrix = np.array([smaller, smaller * rng.choice([-1, 1])])
    space = affine_transform(
        _ventricles(lender).astype(np.uint8), matrix, offset=lender.middle - matrix * canvas.middle, order=0
    )
    return (
        (space > 0)
        & canvas.ordinary(canvas.smooth())
        & (canvas.depth > _DEEP_PX / 2)
        & ~binary_dilation(canvas.lesion, iterations=3)
    )


CONFOUNDERS: Final[dict[str, Callable[[Canvas], None]]] = {
    "csf_blood": _csf_blood,
    "subdural": _subdural,
    "falx": _falx,
    "calcium": _calcium,
    "bone": _bone,
    "streaks": _streaks,
}
"""In the order in which they are painted: what is farther out covers what is farther in."""
