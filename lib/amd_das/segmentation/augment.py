"""Random changes of labelled slices: where the head lies, how it was scanned, windowed and stripped.

Everything is drawn from the generator that is handed in, so a batch is the same whenever it is made again.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import torch
from scipy.ndimage import binary_erosion, label
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, pad

from amd_das.errors import ConfigError
from amd_das.preprocessing.window import to_network

_TISSUE: Final = 0.32
"""Grey value that contrast is stretched around: 32 HU, the middle of brain (ours)."""

_CUT_OFF: Final = 0.995
_BEYOND: Final = 0.5
"""What the window cut off counts as 50 HU brighter when contrast changes (ours): calcium and bone would be as dark as
fresh blood otherwise, and dense bleeds would be learnt as calcium."""

_REACH: Final = 0.35
"""A patch's middle lies at most this part of its side from the lesion it shows, in each direction (ours)."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What changes, how far and how often. The defaults are the paper's; `RICH` is ours.

    Strengths are of grey values in [0, 1], which is 0-100 HU.
    """

    flip_lr: float = 0.5
    """Chance of mirroring left to right (paper)."""

    flip_ap: float = 0.5
    """Chance of mirroring front to back (paper)."""

    brightness: float = 0.2
    """Grey values are multiplied by at most 1 ± this (paper; a factor in the authors' code)."""

    rotation: float = 0.0
    """Standard deviation of the angle, radians (ours)."""

    zoom: float = 0.0
    """Standard deviation of the logarithm of the size (ours)."""

    aspect: float = 0.0
    """Standard deviation of the logarithm of width against height (ours)."""

    contrast: float = 0.0
    """Largest logarithm of the factor by which grey values are stretched around 32 HU (ours)."""

    offset: float = 0.0
    """Largest shift of all grey values (ours)."""

    shading: float = 0.0
    """Chance of a smooth field of shifts across the slice, as beam hardening leaves it (ours)."""

    blur: float = 0.0
    """Chance of a smoother kernel (ours)."""

    sharpen: float = 0.0
    """Chance of a sharper kernel (ours)."""

    noise: float = 0.0
    """Chance of added noise, fine to coarse, of at most 5 HU (ours)."""

    ceiling: float = 0.0
    """Chance of a window that was cut off between 75 and 100 HU (ours)."""

    rim: float = 0.0
    """Chance that 1 to 3 pixels more were stripped from the brain's rim (ours)."""

    def __post_init__(self) -> None:
        for name in ("flip_lr", "flip_ap", "shading", "blur", "sharpen", "noise", "ceiling", "rim"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected a chance, 0 to 1")
        for name in ("brightness", "rotation", "zoom", "aspect", "contrast", "offset"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected a strength from 0 up to, not including, 1")


PAPER: Final = AugmentConfig()
"""Flips and brightness (section 4.3.1)."""

RICH: Final = AugmentConfig(
    flip_ap=0.0,
    brightness=0.0,
    rotation=0.2,
    zoom=0.1,
    aspect=0.06,
    contrast=0.27,
    offset=0.06,
    shading=0.5,
    blur=0.35,
    sharpen=0.2,
    noise=0.6,
    ceiling=0.15,
    rim=0.17,
)
"""Other scanners, windows, postures and brain extractions (ours). A head is never seen back to front."""

NONE: Final = AugmentConfig(**{item.name: 0.0 for item in fields(AugmentConfig)})
"""Slices as they are."""


def augment(
    images: np.ndarray, labels: np.ndarray, config: AugmentConfig, rng: np.random.Generator, *, patch: int | None = None
) -> tuple[Tensor, Tensor]:
    """Change slices at random; an image and its label move alike, and outside the brain stays outside.

    Args:
        images: (N, H, W) uint8 of a slice store, 0 outside the brain.
        labels: (N, H, W) 0 or 1; patches are placed near them, or anywhere in the brain where a slice has none.
        config: what is changed.
        rng: all that is drawn comes from it.
        patch: side P of the squares cut out, pixels; None for whole slices.

    Returns:
        (N, 1, P, P) float32 in [-1, 1], and (N, 1, P, P) float32, 0 or 1.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    images = strip_rims(images, config.rim, rng)
    stack = np.stack([images.astype(np.float32) / 255, images > 0, labels], axis=1)
    moved = move(torch.from_numpy(stack), config, rng, patch=patch)
    inside = (moved[:, 1:2] >= 0.5).float()
    unit = moved[:, :1] / moved[:, 1:2].clamp(min=0.5) * inside  # as preprocessing: means over brain pixels only
    return to_network(change_grey(unit, config, generator)), (moved[:, 2:] >= 0.5).float()


def strip_rims(images: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Take the outer 1 to 3 pixels of the brain off some of the slices, (N, H, W) uint8; holes within stay closed."""
    depths = np.where(rng.random(len(images)) < chance, rng.integers(1, 4, len(images)), 0)
    stripped = np.array(images)
    for index in np.flatnonzero(depths):
        regions, _ = label(images[index] == 0)
        brain = regions != regions[0, 0]
        stripped[index][~binary_erosion(brain, iterations=int(depths[index]))] = 0
    return stripped


def move(stack: Tensor, config: AugmentConfig, rng: np.random.Generator, *, patch: int | None = None) -> Tensor:
    """Mirror, turn, stretch and cut out: channels move alike.

    Args:
        stack: (N, 3, H, W) float: image, inside, label; 0 is what comes in from beyond the edge.
        config: what is changed.
        rng: all that is drawn comes from it.
        patch: side of the squares cut out, pixels; None for whole slices.

    Returns:
        (N, 3, P, P) float32; the same values exactly where nothing but mirroring is asked for.
    """
    count, _, height, width = stack.shape
    lr, ap = (rng.random(count) < chance for chance in (config.flip_lr, config.flip_ap))
    if patch is None and not (config.rotation or config.zoom or config.aspect):
        moved = stack.clone()
        for mirrored, axis in ((lr, -1), (ap, -2)):
            chosen = torch.from_numpy(mirrored)
            moved[chosen] = moved[chosen].flip(axis)
        return moved
    size = np.array([patch or height, patch or width])
    middles = np.array([_middle(item, size, rng) for item in stack.numpy()])
    angle = rng.normal(0, config.rotation, count)
    zoom, aspect = (np.exp(rng.normal(0, spread, count)) for spread in (config.zoom, config.aspect))
    down, across = np.where(ap, -1, 1) * zoom / aspect, np.where(lr, -1, 1) * zoom * aspect
    row, column = (torch.arange(side) + 0.5 - side / 2 for side in size.tolist())

    def places(rows: np.ndarray, columns: np.ndarray, middle: np.ndarray, side: int) -> Tensor:
        """Where along an axis each pixel comes from, (N, P, P), -1 to 1 from edge to edge."""
        factors = (torch.from_numpy(values * 2 / side).float()[:, None] for values in (rows, columns, middle))
        per_row, per_column, start = factors
        return (per_row * row)[:, :, None] + (per_column * column + start - 1)[:, None, :]

    grid = torch.stack(
        [
            places(-down * np.sin(angle), across * np.cos(angle), middles[:, 1], width),
            places(down * np.cos(angle), across * np.sin(angle), middles[:, 0], height),
        ],
        dim=-1,
    )
    return grid_sample(stack, grid, mode="bilinear", align_corners=False)


def _middle(item: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(2,) row and column of the middle of a patch that shows a random pixel of the label, or of the brain."""
    shape, draw, jitter = np.array(item.shape[1:]), rng.random(), rng.uniform(-_REACH, _REACH, 2)
    candidates = (np.flatnonzero(item[channel]) for channel in (2, 1))
    pixels = next((found for found in candidates if len(found)), np.array([shape[0] // 2 * shape[1] + shape[1] // 2]))
    pixel = np.array(divmod(pixels[int(draw * len(pixels))], shape[1]))
    low, high = np.minimum(size / 2, shape / 2), np.maximum(shape - size / 2, shape / 2)
    return np.clip(np.rint(pixel + size * jitter), low, high)


def change_grey(unit: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Scanner and window differences.

    Args:
        unit: (N, 1, H, W) float32 in [0, 1], 0 outside the brain.
        config: what is changed.
        generator: all that is drawn comes from it.

    Returns:
        The same shape and range; 0 where it was 0.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(unit), 1, 1, 1, generator=generator)

    def sometimes(chance: float) -> Tensor:
        return (torch.rand(len(unit), 1, 1, 1, generator=generator) < chance).float()

    inside = (unit > 0).float()
    x = unit * uniform(1 - config.brightness, 1 + config.brightness)
    if config.contrast or config.offset:
        stretched = (x + _BEYOND * (x >= _CUT_OFF) - _TISSUE) * uniform(-config.contrast, config.contrast).exp()
        x = (_TISSUE + stretched + uniform(-config.offset, config.offset)) * inside
    if config.shading:
        coarse = torch.randn(len(unit), 1, 4, 4, generator=generator) * 0.02
        field = interpolate(coarse, size=unit.shape[-2:], mode="bilinear", align_corners=True)
        x = x + field * sometimes(config.shading) * inside
    if config.blur or config.sharpen:
        smooth = _mean(x) / _mean(inside).clamp(min=1 / 9)
        strength = uniform(0.0, 1.0) * sometimes(config.blur) - uniform(0.0, 0.8) * sometimes(config.sharpen)
        x = x + (smooth - x) * strength
    if config.noise:
        fine = torch.randn(unit.shape, generator=generator)
        grain = fine + (_mean(fine) * 2.2 - fine) * uniform(0.0, 1.0)
        x = x + grain * uniform(0.0, 0.05) * sometimes(config.noise)
    x = x.clamp(0.0, 1.0)
    if config.ceiling:
        x = torch.minimum(x, torch.where(sometimes(config.ceiling) > 0, uniform(0.75, 1.0), torch.ones(1)))
    return x * inside


def _mean(x: Tensor) -> Tensor:
    """Of 3 × 3 pixels, zeros beyond the edge: (N, 1, H, W); on a CPU several times as fast as ``avg_pool2d``."""
    padded = pad(x, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
