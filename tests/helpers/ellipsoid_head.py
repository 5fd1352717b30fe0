"""A head of ellipsoids, in HU and in milliseconds: what preprocessing and inference are tested on."""

from dataclasses import dataclass, replace

import numpy as np

from amd_das.volume import Volume

AIR, FAT, SCALP, BONE, BRAIN, FLUID, BLOOD = -1000.0, -90.0, 45.0, 900.0, 33.0, 6.0, 68.0
BRAIN_RADII_MM = np.array([70.0, 85.0, 68.0])  # upwards, back, to the left


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """An axial array, inferior to superior, anterior to posterior, right to left, and what is in it."""

    hu: np.ndarray
    """(Z, H, W) float32."""

    inside: np.ndarray
    """(Z, H, W) bool: everything inside the skull."""

    blood: np.ndarray
    """(Z, H, W) bool."""

    spacing: tuple[float, float, float]
    """(dz, dy, dx) mm."""

    def clipped(self, low: float, high: float) -> "Head":
        """As seen through a window, in HU."""
        return replace(self, hu=self.hu.clip(low, high))

    def stripped(self, background: float) -> "Head":
        """Without skull and scalp."""
        return replace(self, hu=np.where(self.inside, self.hu, np.float32(background)))

    def volume(self) -> Volume:
        """As a scanner's DICOM would come: columns to the patient's left, rows to the back, slices upwards."""
        dz, dy, dx = self.spacing
        affine = np.diag([-dx, -dy, dz, 1.0])
        array = self.hu.transpose(2, 1, 0)
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(array.shape) - 1) / 2)
        return Volume(array=np.ascontiguousarray(array), affine=affine, case_id="ellipsoid")


def coordinates(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[np.ndarray, ...]:
    """mm upwards, back, to the left from the middle, each broadcastable to the shape."""
    axes = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True))
    up, back, left = np.meshgrid(*axes, indexing="ij", sparse=True)
    return up, back, left


def make_head(
    shape: tuple[int, int, int] = (14, 160, 160),
    spacing: tuple[float, float, float] = (10.0, 1.4, 1.4),
    *,
    height_mm: float = 0.0,
    craniectomy: bool = False,
    scalp_hematoma: bool = False,
    epidural: bool = False,
    noise: float = 3.0,
) -> Head:
    """Scalp, fat, skull, brain with a ventricle, a calcification and a bleed of 18 mm radius in the patient's left.

    Args:
        shape: (Z, H, W).
        spacing: (dz, dy, dx) mm.
        height_mm: how far the middle of the array lies above the middle of the head.
        craniectomy: the skull of the patient's left is missing over 100 degrees and the brain bulges by 5 mm.
        scalp_hematoma: 20 mm of blood under the scalp of the patient's right.
        epidural: blood, 12 mm thick, between skull and brain on the patient's right.
        noise: standard deviation, HU.
    """
    up, back, left = coordinates(shape, spacing)
    up = up + height_mm
    angle = np.degrees(np.arctan2(back, left))
    gap = (np.abs(angle) < 50) & (up > -40)
    opened = gap & craniectomy
    bulge = 1.0 + 0.07 * opened
    radius = np.sqrt((up / BRAIN_RADII_MM[0]) ** 2 + (back / BRAIN_RADII_MM[1]) ** 2 + (left / BRAIN_RADII_MM[2]) ** 2)
    swelling = 0.28 * np.exp(-(((np.abs(angle) - 180) / 35) ** 2)) * scalp_hematoma
    hu = np.full(shape, AIR, np.float32)
    hu[radius < 1.26 + swelling] = SCALP
    hu[(radius < 1.22 + swelling) & (radius > 1.17)] = FAT
    if scalp_hematoma:
        hu[(radius < 1.17 + swelling) & (radius > 1.12)] = BLOOD
    hu[(radius < 1.12) & ~opened] = BONE
    inside = radius < bulge
    hu[inside] = BRAIN
    if epidural:
        hu[inside & (radius > 0.83) & (left < -40)] = BLOOD
    hu[(up / 25) ** 2 + (back / 25) ** 2 + ((left + 8) / 7) ** 2 < 1] = FLUID
    hu[(up + 5) ** 2 + (back + 20) ** 2 + (left + 30) ** 2 < 8**2] = 400.0
    blood = (up - 5) ** 2 + (back - 5) ** 2 + (left - 32) ** 2 < 18**2
    hu[blood] = BLOOD
    hu += np.random.default_rng(0).normal(0.0, noise, shape).astype(np.float32)
    return Head(hu=hu, inside=np.broadcast_to(inside, shape), blood=np.broadcast_to(blood, shape), spacing=spacing)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two bool arrays."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))
