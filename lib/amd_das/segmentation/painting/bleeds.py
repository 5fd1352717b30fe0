"""Bleeds in the brain's tissue where a slice had none: the outline of each is known, whatever the slice.

Shapes, sites and densities are those of the textbooks, drawn more widely: solid bleeds deep in the brain, patchy
contusions at its surface, fresh blood at 50 to 85 HU, a rim of edema around it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter

from amd_das.errors import ConfigError
from amd_das.segmentation.painting.canvas import CSF_BELOW_HU, GREY_PER_HU, Canvas, brain_of, to_grey

_SURFACE_PX: Final = 22.0
"""Contusions lie so near to the outside."""

_BRIGHT_BY_HU: Final = 12.0
"""Grey matter is at most so much brighter than the whole brain."""

_LEAST_PX: Final = 6
"""Smaller spots are not painted: at 1 mm and 5 mm thickness that is 0.03 mL."""


@dataclass(frozen=True, kw_only=True)
class BleedConfig:
    """How often slices receive bleeds, and of which kind (ours)."""

    chance: float = 0.6
    """Of a slice."""

    contusion: float = 0.45
    """Part of them that lies at the surface and is patchy."""

    def __post_init__(self) -> None:
        for name in ("chance", "contusion"):
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
    painted = [_paint_one(image, mask, config, rng) for image, mask in zip(images, labels, strict=True)]
    return np.stack([image for image, _ in painted]), np.stack([mask for _, mask in painted])


def _paint_one(
    image: np.ndarray, mask: np.ndarray, config: BleedConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn, contusion = rng.random() < config.chance, rng.random() < config.contusion
    brain = brain_of(image)
    if not drawn or brain is None:
        return image, mask
    canvas = Canvas(image / GREY_PER_HU, mask > 0, brain, rng)
    for _ in range(1 + int(rng.geometric(0.6 if contusion else 0.85) > 1)):
        _bleed(canvas, contusion=contusion)
    return to_grey(canvas.hu, brain), (canvas.lesion & brain).astype(mask.dtype)


def _bleed(canvas: Canvas, *, contusion: bool) -> None:
    rng = canvas.rng
    inside = gaussian_filter(canvas.brain.astype(float), 1.5)
    smooth = gaussian_filter(canvas.hu * canvas.brain, 1.5) / np.maximum(inside, 1e-3)
    fluid = binary_opening(
        canvas.brain & (smooth < CSF_BELOW_HU), iterations=2
    )  # ventricles and cisterns; narrow sulci are pushed away
    ordinary = smooth < np.median(canvas.hu[canvas.brain]) + _BRIGHT_BY_HU  # neither bone nor other blood
    tissue = canvas.brain & ~fluid & ~canvas.lesion & ordinary
    near = canvas.depth < _SURFACE_PX if contusion else canvas.depth > rng.choice([8.0, 18.0])
    place = canvas.somewhere(tissue & near & ~binary_dilation(fluid, iterations=2))
    if place is None:
        return
    region = _outline(canvas, place, contusion=contusion) & tissue
    blood = binary_opening(region & _patches(canvas, rng.uniform(0.25, 0.9))) if contusion else region
    if blood.sum() < _LEAST_PX:
        return
    core = rng.uniform(54 if contusion else 50, 85)
    density = rng.uniform(0.6, 1.0) if contusion else 1.0
    shade = gaussian_filter(rng.standard_normal(canvas.hu.shape), rng.uniform(1.0, 4.0))
    core = core + shade / shade.std() * rng.uniform(0.5, 6.0)
    if not contusion and rng.random() < 0.12:  # blood that has settled is denser behind
        core = core - rng.uniform(6, 22) * (canvas.rows < place[0] + rng.normal(0, 3))
    _swell(canvas, binary_dilation(region, iterations=1), tissue)
    share = density * gaussian_filter(blood.astype(float), rng.uniform(0.45, 1.3))
    grain = canvas.hu - gaussian_filter(canvas.hu, 1.5)  # the scan's own noise goes on in the bleed
    canvas.hu = np.where(tissue, canvas.hu + share * (core + grain - canvas.hu), canvas.hu)
    near = gaussian_filter(blood.astype(float), 1.2)  # an expert's outline goes around what is seen, not into every gap
    canvas.lesion = canvas.lesion | (tissue & (near > (0.33 if contusion else 0.5)))


def _outline(canvas: Canvas, place: tuple[int, int], *, contusion: bool) -> np.ndarray:
    """A region about a place with an irregular edge; most are small."""
    rng = canvas.rng
    length = 2 * float(np.exp(rng.normal(2.2, 0.65))) if rng.random() < 0.8 else rng.uniform(20, 75)
    width = length * rng.uniform(0.45, 1.0)
    bumps = sum(
        weight * field / field.std()
        for weight, field in (
            (1.0, gaussian_filter(rng.standard_normal(canvas.hu.shape), max(length / 6, 1.0))),
            (0.4, gaussian_filter(rng.standard_normal(canvas.hu.shape), max(length / 16, 0.8))),
        )
    )
    rough = rng.uniform(0.05, 0.3) * (1.6 if contusion else 1.0)
    return np.sqrt(canvas.reach(place, length, width, rng.uniform(0, np.pi))) + rough * bumps < 1


def _patches(canvas: Canvas, part: float) -> np.ndarray:
    """Where a patchy bleed has blood: about this part of any region."""
    rng = canvas.rng
    field = gaussian_filter(rng.standard_normal(canvas.hu.shape), rng.uniform(1.2, 4.5))
    return field > np.quantile(field, 1 - part)


def _swell(canvas: Canvas, region: np.ndarray, tissue: np.ndarray) -> None:
    """Edema about a bleed: darker tissue."""
    rng = canvas.rng
    width = rng.uniform(0.5, 12)
    wide = binary_dilation(region, iterations=max(1, round(width)))
    share = gaussian_filter(wide.astype(float), max(width / 4, 0.7)) * rng.uniform(0.0, 1.0)
    canvas.hu = np.where(tissue, canvas.hu - share * np.clip(canvas.hu - 18, 0, 14), canvas.hu)
