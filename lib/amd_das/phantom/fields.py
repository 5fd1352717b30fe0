"""Functions of space given by values on a regular grid, and smooth random ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import grid_sample


@dataclass(frozen=True, eq=False)
class Field:
    """Values on a regular, axis-aligned grid, linear in between and constant beyond the border."""

    values: Tensor
    """(C, X, Y, Z) float32."""

    origin: Tensor
    """(3,) float32, mm: position of the first grid point."""

    step: float
    """mm between grid points, the same along each axis."""

    def points(self) -> Tensor:
        """(X · Y · Z, 3) float32, mm: the grid points, in the order of the values."""
        axes = [
            float(start) + self.step * torch.arange(size)
            for start, size in zip(self.origin, self.values.shape[1:], strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).float()

    def at(self, points: Tensor) -> Tensor:
        """Points (N, 3) float32 in mm → values (C, N)."""
        size = torch.tensor(self.values.shape[1:], dtype=torch.float32)
        unit = (points - self.origin) / self.step / (size - 1) * 2 - 1
        grid = unit.flip(-1).view(1, 1, 1, -1, 3)  # grid_sample wants the last axis first
        sampled = grid_sample(self.values[None], grid, mode="bilinear", padding_mode="border", align_corners=True)
        return sampled.view(self.values.shape[0], -1)


def smooth_noise(
    rng: np.random.Generator,
    scale_mm: float,
    *,
    channels: int = 1,
    low: Sequence[float] = (-110.0, -150.0, -130.0),
    high: Sequence[float] = (110.0, 120.0, 130.0),
) -> Field:
    """A random field of zero mean and unit deviation whose values decorrelate over about ``scale_mm``."""
    step = scale_mm / 1.5
    shape = [int(np.ceil((b - a) / step)) + 2 for a, b in zip(low, high, strict=True)]
    values = gaussian_filter(rng.standard_normal((channels, *shape)), (0, 0.8, 0.8, 0.8))
    values /= values.std()
    return Field(torch.from_numpy(values.astype(np.float32)), torch.tensor(low, dtype=torch.float32), step)


def layered(coarse: Field, fine: Field) -> Field:
    """Two one-channel fields as one of two channels, on the finer one's grid."""
    shape = fine.values.shape[1:]
    both = torch.stack([coarse.at(fine.points())[0].reshape(shape), fine.values[0]])
    return Field(both, fine.origin, fine.step)


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, and a smooth cubic between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
