"""Bleeds in the brain's tissue where a slice had none: the outline of each is known, whatever the slice.

Shapes, sites and densities are those of the textbooks, drawn more widely: solid bleeds deep in the brain, some of which
break into a ventricle (that blood is no lesion), clusters of patchy contusions at its surface, fresh blood at 50 to 90
HU, less where a slice holds only a part of it, and a rim of edema around it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, distance_transform_edt, gaussian_filter, label

from amd_das.errors import ConfigError
from amd_das.preprocessing.density import CSF_BELOW_HU
from amd_das.segmentation.painting.canvas import (
    BLOOD_EDGE_PX,
    DEEP_PX,
    EDGE_PX,
    GREY_PER_HU,
    Canvas,
    brain_of,
    frame_of,
    hills,
    put_back,
    texture,
    thickness,
    to_grey,
)

_SURFACE_PX: Final = 22.0
"""Contusions lie so near to the outside."""

_SETTLED: Final = 0.12
"""Of solid bleeds: the blood has settled, and is denser behind."""

_BREAKS_IN: Final = 0.4
"""Of solid bleeds beside a ventricle: blood is in there too."""

_BESIDE_PX: Final = 14.0
"""A bleed beside a ventricle or a basal cistern has its middle so near to it."""

_DENSE: Final = (0.5, 1.0)
_FAINT: Final = (0.42, 0.6)
"""Which part of the densest pixels of a contusion is blood, least and most: of an ordinary one, and of a faint one."""

_SEEN: Final = 0.4
"""Part of a pixel that must be blood for an expert to see it."""

_SMALL_PX: Final = (4.0, 14.0)
"""So long is a small bleed."""

_ISLAND_PX: Final = (150, 4000)
"""Pieces of brain that a bleed may fill: smaller ones are slivers beside bone, larger ones a whole fossa."""

_CLOSED_PX: Final = 6.0
"""What closes a ventricle is as bright as the tissue so far around it."""

_LEAST_PX: Final = 6
"""Smaller spots are not painted: at 1 mm and 5 mm thickness that is 0.03 mL."""


@dataclass(frozen=True, kw_only=True)
class BleedConfig:
    """How often slices receive bleeds, and of which kind (ours)."""

    chance: float = 0.6
    """Of a slice."""

    contusion: float = 0.45
    """Part of them that lies at the surface and is patchy."""

    faint: float = 0.0
    """Part of the contusions in which a pixel is about half blood at most: some 10 to 35 HU above the tissue."""

    beside: float = 0.0
    """Part of the solid bleeds that lie beside a ventricle or a basal cistern, as in the thalamus and the caudate."""

    small: float = 0.0
    """Part of the outlines that are a few millimetres long."""

    effaced: float = 0.0
    """Part of the slices with bleeds in which the brain is swollen: the ventricles are closed, on one side or both."""

    island: float = 0.0
    """Part of the contusions, where a slice shows the brain in pieces (the poles of its lobes at the skull base), that
    fill a piece or most of it."""

    def __post_init__(self) -> None:
        for name in ("chance", "contusion", "faint", "beside", "small", "effaced", "island"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected a chance, 0 to 1")


def add_bleeds(
    images: np.ndarray, labels: np.ndarray, config: BleedConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint bleeds into slices; what is painted is lesion, what was lesion stays so.

    Args:
        images: (N, H, W) uint8 of a slice store: 0-100 HU on 0-255, 0 outside the brain.
        labels: (N, H, W) uint8, 0 or 1.
        config: how often what.
        rng: all that is drawn comes from it.

    Returns:
        New arrays of the same shapes and dtypes.
    """
    frame = frame_of(images)
    painted = [_paint_one(image, mask, config, rng) for image, mask in zip(images[frame], labels[frame], strict=True)]
    changed, lesions = zip(*painted, strict=True)
    return put_back(images, frame, changed), put_back(labels, frame, lesions)


def _paint_one(
    image: np.ndarray, mask: np.ndarray, config: BleedConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn, contusion = rng.random() < config.chance, rng.random() < config.contusion
    brain = brain_of(image)
    if not drawn or brain is None:
        return image, mask
    canvas = Canvas(image / GREY_PER_HU, mask > 0, brain, rng)
    if config.effaced and rng.random() < config.effaced:
        _close(canvas)
    for _ in range(1 + int(rng.geometric(0.6 if contusion else 0.85) > 1)):
        _bleed(canvas, config, contusion=contusion)
    return to_grey(canvas.hu, brain), (canvas.lesion & brain).astype(mask.dtype)


def _close(canvas: Canvas) -> None:
    """Tissue where ventricles and basal cisterns were, on one side or both."""
    rng = canvas.rng
    fluid = canvas.dark() & (canvas.depth > DEEP_PX) & ~canvas.lesion
    if rng.random() < 0.5:
        fluid &= (canvas.columns - canvas.middle[1]) * rng.choice([-1, 1]) > 0
    if not fluid.any():
        return
    fluid = binary_dilation(fluid, iterations=2) & canvas.brain & ~canvas.lesion
    tissue = canvas.brain & ~fluid & canvas.ordinary(canvas.smooth()) & ~canvas.dark()
    near = gaussian_filter(tissue.astype(float), _CLOSED_PX)
    around = gaussian_filter(canvas.hu * tissue, _CLOSED_PX) / np.maximum(near, 1e-3)
    share = gaussian_filter(fluid.astype(float), EDGE_PX) * (near > 1e-3)
    canvas.hu = canvas.hu + share * (around + canvas.grain - canvas.hu)


def _bleed(canvas: Canvas, config: BleedConfig, *, contusion: bool) -> None:
    rng = canvas.rng
    smooth = canvas.smooth()
    fluid = binary_opening(
        canvas.brain & (smooth < CSF_BELOW_HU), iterations=2
    )  # ventricles and cisterns; narrow sulci are pushed away
    tissue = canvas.brain & ~fluid & ~canvas.lesion & canvas.ordinary(smooth)
    near = canvas.depth < _SURFACE_PX if contusion else canvas.depth > rng.choice([8.0, 18.0])
    where = tissue & near & ~binary_dilation(fluid, iterations=2)
    if not contusion and rng.random() < config.beside and (deep := fluid & (canvas.depth > DEEP_PX)).any():
        where &= distance_transform_edt(~deep) < _BESIDE_PX
    island = _island(canvas) if contusion and rng.random() < config.island else None
    if island is not None:
        where &= island
    place = canvas.somewhere(where)
    if place is None:
        return
    if island is not None:
        region = tissue & _most_of(canvas, island)
    else:
        region = tissue & (_cluster if contusion else _solid)(canvas, place, config.small)
    part, blood = _share(canvas, region, contusion=contusion, faint=config.faint)
    if blood.sum() < _LEAST_PX:
        return
    mean = rng.uniform(54 if contusion else 50, 90)
    core = mean + texture(canvas.hu.shape, rng)
    if not contusion and rng.random() < _SETTLED:
        core = core - rng.uniform(6, 15) * (canvas.rows < place[0] + rng.normal(0, 3))
    _swell(canvas, binary_dilation(region, iterations=1), tissue)
    share = gaussian_filter(part, rng.uniform(*BLOOD_EDGE_PX))
    canvas.hu = np.where(tissue, canvas.hu + share * (core + canvas.grain - canvas.hu), canvas.hu)
    near = gaussian_filter(blood.astype(float), 1.2)  # an expert's outline goes around what is seen, not into every gap
    canvas.lesion = canvas.lesion | (tissue & (near > (0.33 if contusion else 0.5)))
    if not contusion and rng.random() < _BREAKS_IN:
        _break_in(canvas, blood, fluid, mean)


def _share(canvas: Canvas, region: np.ndarray, *, contusion: bool, faint: float) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel is blood, 0 to 1; and where there is so much that it is outlined, bool."""
    rng = canvas.rng
    if not contusion:
        return region * thickness(rng), region
    patches = _patches(canvas, rng.uniform(0.25, 0.9))
    between = np.sqrt(rng.random())  # most are blotched rather than spotted
    drawn = rng.random()
    low, high, place = (*_FAINT, drawn / faint) if drawn < faint else (*_DENSE, (drawn - faint) / (1 - faint))
    density = low + (high - low) * place
    part = region * density * np.where(patches, 1.0, between)
    return part, binary_opening(region & (part >= _SEEN))


def _break_in(canvas: Canvas, blood: np.ndarray, fluid: np.ndarray, hu: float) -> None:
    """Blood in the ventricle beside a bleed: as bright, and no lesion."""
    rng = canvas.rng
    spaces, _ = label(fluid)
    beside = np.setdiff1d(spaces[binary_dilation(blood, iterations=4)], 0)
    space = np.isin(spaces, beside) & ~canvas.lesion
    if not space.any():
        return
    if rng.random() < 0.5:  # it sinks to the back
        space &= canvas.rows >= rng.uniform(canvas.rows[space].min(), canvas.rows[space].max())
    wider = int(rng.integers(0, 3))
    space = binary_dilation(space, iterations=wider) if wider else space
    canvas.flood(space & canvas.brain & ~canvas.lesion, hu + rng.normal(0, 4))


def _island(canvas: Canvas) -> np.ndarray | None:
    """(H, W) bool, one of the smaller pieces of brain in the slice; None where it is in one piece."""
    pieces, count = label(canvas.brain)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    small = [number for number, size in enumerate(sizes, 1) if _ISLAND_PX[0] <= size <= _ISLAND_PX[1]]
    return pieces == canvas.rng.choice(small) if small else None


def _most_of(canvas: Canvas, island: np.ndarray) -> np.ndarray:
    """A part of a piece of brain, from its third to the whole, with an irregular edge."""
    rng = canvas.rng
    rows, columns = canvas.rows - canvas.rows[island].mean(), canvas.columns - canvas.columns[island].mean()
    angle, size = rng.uniform(0, 2 * np.pi), np.sqrt(island.sum())
    uneven = hills(rng.standard_normal(island.shape), size / 6)
    order = (rows * np.cos(angle) + columns * np.sin(angle)) / size + rng.uniform(0.1, 0.5) * uneven
    return island & (order <= np.quantile(order[island], min(rng.uniform(0.35, 1.1), 1.0)))


def _solid(canvas: Canvas, place: tuple[int, int], small: float) -> np.ndarray:
    """One region about a place."""
    return _outline(canvas, place, rough=0.3, longest=75, small=small)


def _cluster(canvas: Canvas, place: tuple[int, int], small: float) -> np.ndarray:
    """Some regions near a place, most of them one."""
    rng = canvas.rng
    region = _outline(canvas, place, rough=0.48, longest=40, small=small)
    for _ in range(min(rng.geometric(0.5) - 1, 4)):
        row, column = place + rng.normal(0, rng.uniform(4, 16), 2)
        region = region | _outline(canvas, (int(row), int(column)), rough=0.48, longest=40, small=small)
    return region


def _outline(canvas: Canvas, place: tuple[int, int], *, rough: float, longest: float, small: float) -> np.ndarray:
    """A region about a place with an irregular edge, at most so rough and long (pixels); most are small."""
    rng = canvas.rng
    if small and rng.random() < small:
        length = rng.uniform(*_SMALL_PX)
    else:
        length = 2 * float(np.exp(rng.normal(2.1, 0.65))) if rng.random() < 0.8 else rng.uniform(20, longest)
    width = length * rng.uniform(0.45, 1.0)
    coarse, fine = (
        hills(rng.standard_normal(canvas.hu.shape), max(length / part, least)) for part, least in ((6, 1.0), (16, 0.8))
    )
    edge = rng.uniform(rough / 6, rough)
    return np.sqrt(canvas.reach(place, length, width, rng.uniform(0, np.pi))) + edge * (coarse + 0.4 * fine) < 1


def _patches(canvas: Canvas, part: float) -> np.ndarray:
    """Where a patchy bleed has blood: about this part of any region."""
    rng = canvas.rng
    field = gaussian_filter(rng.standard_normal(canvas.hu.shape), rng.uniform(1.5, 5.0))
    return field > np.quantile(field, 1 - part)


def _swell(canvas: Canvas, region: np.ndarray, tissue: np.ndarray) -> None:
    """Edema about a bleed: darker tissue."""
    rng = canvas.rng
    width = rng.uniform(0.5, 12)
    wide = binary_dilation(region, iterations=max(1, round(width)))
    share = gaussian_filter(wide.astype(float), max(width / 4, 0.7)) * rng.uniform(0.0, 1.0)
    canvas.hu = np.where(tissue, canvas.hu - share * np.clip(canvas.hu - 18, 0, 14), canvas.hu)
