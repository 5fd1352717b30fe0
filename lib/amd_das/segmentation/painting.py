"""What CT shows and MRI does not, painted into pseudo-CT (ours; the paper has none of it).

A pseudo-CT is an MRI in other colours: it lacks bone that the brain extraction has left, calcium, the bright falx and
sinuses, metal, and blood outside the brain's tissue. An FCN that has never seen them takes them all for the lesion.
Nor does a glioma look like every bleed: contusions are patchy, many bleeds small or pale. No CT and no label of one is
needed to paint any of this.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
)

from amd_das.errors import ConfigError

_HU: Final = 2.55
"""Grey values of a slice store per HU."""

_CSF_BELOW_HU: Final = 15.0
_EDGE_PX: Final = 0.7
"""Blur of what is painted, as slices average over the border."""


@dataclass(frozen=True, kw_only=True)
class PaintConfig:
    """The chance that a slice receives each of these, 0 to 1."""

    bone: float = 0.0
    """Pieces of the skull base and the inner table, at the brain's rim."""

    calcium: float = 0.0
    """Pineal, plexus, basal ganglia, vessel walls: saturated dots."""

    falx: float = 0.0
    """Falx, tentorium and venous sinuses: thin bright sheets and what they end in at the rim."""

    streaks: float = 0.0
    """Rays from metal."""

    subdural: float = 0.0
    """Subdural or epidural blood: a crescent or a lens along the rim."""

    csf_blood: float = 0.0
    """Blood in cisterns, sulci and ventricles, where the slice is as dark as CSF."""

    partial: float = 0.0
    """Only a part of the lesion is one: its middle, or patches of it; the rest becomes tissue."""

    pale: float = 0.0
    """The lesion is less bright, or a little brighter."""

    clot: float = 0.0
    """The lesion's inside is painted as other blood is: otherwise its texture would tell the two apart."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not 0.0 <= getattr(self, item.name) <= 1.0:
                raise ConfigError(f"{item.name} {getattr(self, item.name)}: expected a chance, 0 to 1")


UNPAINTED: Final = PaintConfig()
"""Slices as they are (paper)."""

HEAD_CT: Final = PaintConfig(
    bone=0.4, calcium=0.4, falx=0.5, streaks=0.1, subdural=0.2, csf_blood=0.35, partial=0.6, pale=0.4, clot=0.6
)
"""As often as head CT after trauma shows them, about."""


def paint(
    images: np.ndarray, labels: np.ndarray, config: PaintConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint into slices; what is painted is no lesion.

    Args:
        images: (N, H, W) uint8 of a slice store: 0-100 HU on 0-255, 0 outside the brain; rows run front to back.
        labels: (N, H, W) uint8, 0 or 1.
        config: how often what.
        rng: all that is drawn comes from it.

    Returns:
        New arrays of the same shapes and dtypes; what was outside the brain stays 0, what it encloses is at least 1.
    """
    if config == UNPAINTED:
        return images, labels
    painted = [_paint_one(image, mask, config, rng) for image, mask in zip(images, labels, strict=True)]
    return np.stack([image for image, _ in painted]), np.stack([mask for _, mask in painted])


def _paint_one(
    image: np.ndarray, mask: np.ndarray, config: PaintConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn = {item.name: rng.random() < getattr(config, item.name) for item in fields(config)}
    brain = binary_fill_holes(image > 0)
    if brain.sum() < 500:  # a tip of the brain has room for nothing
        return image, mask
    hu, lesion = image / _HU, mask > 0
    if lesion.any():
        hu, lesion = _change_lesion(hu, lesion, brain, drawn, rng)
    slice_ = _Slice(hu, lesion, brain, rng)
    for name, draw in _CONFOUNDERS.items():
        if drawn[name]:
            draw(slice_)
    changed = np.clip(np.rint(slice_.hu * _HU), 1, 255).astype(np.uint8)
    return np.where(brain, changed, 0).astype(np.uint8), (slice_.lesion & brain).astype(mask.dtype)


def _change_lesion(
    hu: np.ndarray, lesion: np.ndarray, brain: np.ndarray, drawn: dict[str, bool], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The slice in HU and its lesion: smaller or in patches, repainted, less bright, as drawn."""
    if not (drawn["partial"] or drawn["pale"] or drawn["clot"]):
        return hu, lesion
    tissue = (brain & ~binary_dilation(lesion, iterations=3)).astype(float)
    weight = gaussian_filter(tissue, 8.0)
    around = np.where(weight > 1e-3, gaussian_filter(hu * tissue, 8.0) / np.maximum(weight, 1e-3), 28.0)
    grain = np.abs(hu - gaussian_filter(hu, 1.0))[tissue > 0]
    noise = gaussian_filter(rng.standard_normal(hu.shape), 0.6)
    normal = around - rng.uniform(0, 8) + noise * (1.5 * np.median(grain) / noise.std() if len(grain) else 0.0)
    kept = _part_of(lesion, rng) if drawn["partial"] else lesion
    below = hu
    if drawn["partial"] or (drawn["clot"] and rng.random() < 0.5):
        rim = binary_dilation(lesion, iterations=7) & (hu < around - 8)  # pseudo-CT often have a dark one
        gone = gaussian_filter((binary_dilation(lesion, iterations=2) | rim).astype(float), _EDGE_PX)
        below = hu + (normal - hu) * gone
    blood = rng.uniform(45, 85) + _texture(hu.shape, rng) if drawn["clot"] else hu
    strength = rng.uniform(0.4, 1.15) if drawn["pale"] else 1.0
    share = gaussian_filter(kept.astype(float), _EDGE_PX)
    return below + (normal + strength * (blood - normal) - below) * share, kept


def _part_of(lesion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lesion's middle, or patches of it, or something between; never nothing."""
    depth = distance_transform_edt(lesion)
    patches = gaussian_filter(rng.standard_normal(lesion.shape), rng.uniform(1.5, 6.0))
    order = depth / depth.max() + rng.uniform(0.0, 1.5) * patches / patches.std() * 0.5
    kept = binary_opening(lesion & (order > np.quantile(order[lesion], rng.uniform(0.1, 0.95))))
    return kept if kept.any() else lesion


def _texture(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Of clotted blood, HU."""
    return gaussian_filter(rng.standard_normal(shape), 1.2) * 6


class _Slice:
    """One slice that is being painted."""

    def __init__(self, hu: np.ndarray, lesion: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> None:
        self.hu, self.lesion, self.brain, self.rng = hu, lesion, brain, rng
        self.depth = distance_transform_edt(brain)
        """Pixels from the outside."""

        self.rows, self.columns = np.indices(hu.shape, dtype=np.float32)
        inside = np.argwhere(brain)
        self.middle, self.half = inside.mean(0), (inside.max(0) - inside.min(0)) / 2

    def cover(self, region: np.ndarray, hu: float, *, under_lesion: bool = False) -> None:
        """Make a region as bright as this, with a soft edge and some texture; it is no lesion then."""
        if under_lesion:
            region = region & ~self.lesion
        else:
            self.lesion = self.lesion & ~region
        share = gaussian_filter(region.astype(np.float32), _EDGE_PX)
        self.hu = self.hu + (hu + _texture(self.hu.shape, self.rng) - self.hu) * share

    def somewhere(self, where: np.ndarray) -> tuple[int, int] | None:
        """A random pixel of a region."""
        places = np.argwhere(where)
        return tuple(places[self.rng.integers(len(places))]) if len(places) else None

    def bar(self, centre: tuple[float, float], length: float, width: float, angle: float) -> np.ndarray:
        """An ellipse of these axes in pixels; angle in radians from front to back."""
        down, across = self.rows - centre[0], self.columns - centre[1]
        along = down * np.cos(angle) + across * np.sin(angle)
        beside = -down * np.sin(angle) + across * np.cos(angle)
        return self.brain & ((2 * along / length) ** 2 + (2 * beside / width) ** 2 < 1)


def _bone(slice_: _Slice) -> None:
    rng = slice_.rng
    for _ in range(rng.integers(1, 4)):
        place = slice_.somewhere(slice_.brain & (slice_.depth < rng.choice([4, 12, 25])))
        if place is not None:
            region = slice_.bar(place, rng.uniform(6, 36), rng.uniform(3, 11), rng.uniform(0, np.pi))
            slice_.cover(region, rng.choice([110.0, rng.uniform(70, 110)]))


def _calcium(slice_: _Slice) -> None:
    rng = slice_.rng
    for _ in range(rng.integers(1, 4)):
        place = slice_.somewhere(slice_.brain)
        if place is not None:
            size = rng.uniform(2, 9)
            region = slice_.bar(place, size * rng.uniform(1, 1.8), size, rng.uniform(0, np.pi))
            slice_.cover(region & ~slice_.lesion, rng.choice([110.0, rng.uniform(80, 110)]))


def _falx(slice_: _Slice) -> None:
    rng = slice_.rng
    hu, tilt = rng.uniform(38, 80), rng.normal(0, 0.06)
    front, back = sorted(rng.uniform(-1.1, 1.1, 2) * slice_.half[0])
    middle = slice_.middle[1] + rng.normal(0, 2)
    down = slice_.rows - slice_.middle[0]
    bow = rng.normal(0, 3) * (1 - (down / max(slice_.half[0], 1)) ** 2)
    beside = np.abs(slice_.columns - middle - tilt * down - bow)
    sheet = slice_.brain & (beside < rng.uniform(0.6, 1.8)) & (down > front) & (down < back)
    slice_.cover(sheet, hu, under_lesion=True)
    for end in (-1, 1):  # the sagittal sinus in front and behind
        if rng.random() < 0.5:
            column = middle + end * tilt * slice_.half[0]
            row = slice_.middle[0] + end * slice_.half[0] * rng.uniform(0.93, 1.0)
            slice_.cover(slice_.bar((row, column), rng.uniform(5, 14), rng.uniform(4, 12), 0.0), rng.uniform(45, 75))
    if rng.random() < 0.4:  # the tentorium's edge, or a transverse sinus
        place = slice_.somewhere(slice_.brain & (slice_.depth < 25) & (slice_.rows > slice_.middle[0]))
        if place is not None:
            region = slice_.bar(place, rng.uniform(20, 70), rng.uniform(2, 6), rng.normal(0, 0.9))
            slice_.cover(region, rng.uniform(42, 75), under_lesion=True)


def _streaks(slice_: _Slice) -> None:
    rng = slice_.rng
    place = slice_.somewhere(slice_.brain & (slice_.depth < 20))
    if place is None:
        return
    down, across = slice_.rows - place[0], slice_.columns - place[1]
    angle, distance = np.arctan2(across, down), np.hypot(down, across)
    rays = sum(
        np.sin(n * angle + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.3, 1) for n in rng.integers(5, 40, 4).tolist()
    )
    reach = np.exp(-distance / rng.uniform(20, 70))
    slice_.hu = slice_.hu + rng.uniform(15, 60) * rays * reach
    if rng.random() < 0.7:
        slice_.cover(slice_.bar(place, rng.uniform(3, 10), rng.uniform(3, 10), 0.0), 110.0)


def _subdural(slice_: _Slice) -> None:
    rng = slice_.rng
    angle = np.arctan2(slice_.columns - slice_.middle[1], slice_.rows - slice_.middle[0])
    away = np.abs((angle - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi)
    lens = rng.random() < 0.4
    thickest, half = (
        (rng.uniform(8, 30), rng.uniform(0.3, 0.7)) if lens else (rng.uniform(3, 20), rng.uniform(0.5, 1.7))
    )
    thickness = thickest * np.clip(1 - (away / half) ** 2, 0, None)
    slice_.cover(slice_.brain & (slice_.depth < thickness), rng.uniform(42, 90))


def _csf_blood(slice_: _Slice) -> None:
    rng = slice_.rng
    dark = slice_.brain & (gaussian_filter(slice_.hu, 0.8) < _CSF_BELOW_HU) & (slice_.depth > 2)
    dark &= ~binary_dilation(slice_.lesion, iterations=6)  # the dark rim that pseudo-CT often have is no CSF
    spaces, count = label(dark)
    if not count:
        return
    hu = rng.uniform(42, 80)
    place = slice_.somewhere(dark)
    assert place is not None  # there is a space
    if rng.random() < 0.5:  # cisterns and sulci near some place
        near = np.hypot(slice_.rows - place[0], slice_.columns - place[1]) < rng.uniform(15, 80)
        filled = dark & near
        slice_.cover(binary_dilation(filled) & slice_.brain if rng.random() < 0.5 else filled, hu)
        return
    space = binary_dilation(spaces == spaces[place], iterations=int(rng.integers(1, 4)))  # a ventricle, or a part of it
    rows = slice_.rows[space]
    level = rows.min() if rng.random() < 0.5 else rng.uniform(rows.min(), rows.max())
    slice_.cover(space & (slice_.rows >= level) & slice_.brain, hu)


_CONFOUNDERS: Final[dict[str, Callable[[_Slice], None]]] = {
    "csf_blood": _csf_blood,
    "subdural": _subdural,
    "falx": _falx,
    "calcium": _calcium,
    "bone": _bone,
    "streaks": _streaks,
}
"""In the order in which they are painted: what is farther out covers what is farther in."""
