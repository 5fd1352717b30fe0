"""Brain extraction from head CT: everything inside the skull that is not bone.

In the spirit of Muschelli et al. 2017 (threshold 0-100 HU, smoothing, largest component, filling), with one idea added
for skulls with a piece missing: seen from inside the skull, bone lies in (nearly) every direction before open air; seen
from the scalp, an orbit or a neck muscle it does not. All morphology is in-plane, with radii in millimetres, so that
thick slices, thin slices and a single slice are treated alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from amd_das.errors import ConfigError

_DIRECTIONS = 16


@dataclass(frozen=True, kw_only=True)
class BrainConfig:
    """Thresholds and radii of the brain extraction."""

    working_mm: float = 1.0
    """Pixel size of the grid on which the morphology runs, mm (ours, for speed)."""

    soft_hu: tuple[float, float] = (0.0, 100.0)
    """Range of smoothed brain, fluid and blood, HU (Muschelli 2017)."""

    bone_hu: float = 150.0
    """Bone lies above, HU; where a window was clipped lower, bone is what sits at the maximum (ours)."""

    smoothing_mm: float = 1.0
    """Standard deviation of the Gaussian before thresholding, mm (Muschelli 2017: 1 voxel)."""

    opening_mm: float = 3.0
    """Bridges thinner than twice this are cut: sutures, foramina, optic canals, mm (ours)."""

    scalp_mm: float = 8.0
    """Where the skull is missing, tissue this close to open air is scalp, mm (ours)."""

    enclosed: float = 0.8
    """A component is brain if bone is met in this fraction of directions, averaged over its pixels (ours)."""

    enclosed_large: float = 0.6
    """The same for a component of at least `large_cm2`, which may lie under a craniectomy (ours)."""

    large_cm2: float = 20.0
    """From this area on a component is large, cm² (ours)."""

    defect_mm: float = 20.0
    """Gaps in the skull that are wider are craniectomies, through which brain may bulge, mm (ours)."""

    min_component_cm2: float = 1.0
    """Pieces of a slice that are smaller, without their rim of `opening_mm`, are not brain, cm² (ours)."""

    min_share: float = 0.03
    """Nor are those smaller than this share of the slice's largest piece (ours)."""

    bone_piece_cm2: float = 2.0
    """A piece of bone within the brain of at least this area is skull base and left out; smaller ones are
    calcifications or catheters, cm² (ours)."""

    def __post_init__(self) -> None:
        if self.working_mm <= 0 or self.opening_mm < 0 or not 0 < self.enclosed <= 1:
            raise ConfigError(
                f"working_mm {self.working_mm}, opening_mm {self.opening_mm}, enclosed {self.enclosed}: "
                "expected working_mm > 0, opening_mm >= 0 and 0 < enclosed <= 1"
            )


def brain_mask(hu: np.ndarray, spacing_mm: tuple[float, float, float], config: BrainConfig | None = None) -> np.ndarray:
    """Which voxels lie inside the skull: brain, fluid, blood and calcifications, in and around the brain.

    Args:
        hu: (Z, H, W) float, HU, axial slices from inferior to superior. Bone and air may be clipped; the skull may be
            stripped already (background constant).
        spacing_mm: (dz, dy, dx) mm.
        config: thresholds and radii.

    Returns:
        (Z, H, W) bool. All False where no brain is found.
    """
    config = config or BrainConfig()
    _, dy, dx = spacing_mm
    step_y, step_x = (max(1, round(config.working_mm / d)) for d in (dy, dx))
    pixel = (dy * step_y, dx * step_x)
    low, high = max(-100.0, float(hu.min())), float(hu.max())
    threshold = _bone_threshold(high, config)
    bone = _block_mean(hu >= threshold, step_y, step_x) >= 0.5
    soft = _block_mean(np.clip(hu, low, 100.0), step_y, step_x)
    sigma = [config.smoothing_mm / p for p in pixel]
    soft = ndimage.gaussian_filter(soft, (0.0, *sigma))
    tissue = (soft > max(config.soft_hu[0], low + 2.0)) & ~bone

    brain = np.zeros_like(tissue)
    bony = bone.sum() >= 0.03 * tissue.sum()
    if bony:
        brain = _linked(_enclosed(tissue, bone, pixel, config))
    fat = ((hu > -150.0) & (hu < -50.0)).mean() > 0.1 * tissue.mean()
    # A skull that was removed leaves one value around the brain, and no fat; bits of bone may remain.
    if not brain.any() and not fat and (not bony or (hu == _background(hu)).mean() > 0.2):
        foreground = _block_mean((hu > -200.0) & (np.abs(hu - _background(hu)) > 0.5), step_y, step_x) >= 0.5
        brain = np.stack([_without_specks(image, pixel, config) for image in foreground])
    if threshold == config.bone_hu:  # in a clipped window blood may look like bone
        base = [_large_pieces(piece, config.bone_piece_cm2, pixel) for piece in brain & bone]
        brain &= ~np.stack(base)
    return _enlarge(brain, step_y, step_x, hu.shape)


def _bone_threshold(high: float, config: BrainConfig) -> float:
    """HU from which a voxel is bone; just under the maximum where values were clipped to a brain window."""
    return config.bone_hu if high > config.bone_hu * 1.2 else high - 2.0


def _block_mean(array: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    """(Z, H, W) → (Z, ceil(H/step_y), ceil(W/step_x)) float32 means of blocks."""
    images = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    return torch.nn.functional.avg_pool2d(images, (step_y, step_x), ceil_mode=True).numpy()


def _enlarge(mask: np.ndarray, step_y: int, step_x: int, shape: tuple[int, ...]) -> np.ndarray:
    """Blocks back to pixels."""
    return mask.repeat(step_y, axis=1).repeat(step_x, axis=2)[:, : shape[1], : shape[2]]


def _enclosed(tissue: np.ndarray, bone: np.ndarray, pixel: tuple[float, float], config: BrainConfig) -> np.ndarray:
    """(Z, H, W) bool tissue and bone → (Z, H, W) bool, what the skull encloses, each slice on its own."""
    outside = np.stack([_touching_border(air) for air in ~(tissue | bone)])
    wall = bone.copy()
    for edge in (np.s_[:, 0, :], np.s_[:, -1, :], np.s_[:, :, 0], np.s_[:, :, -1]):
        wall[edge] |= tissue[edge]  # a head cut off by the field of view goes on behind the edge
    share = _directions_with_bone(wall, outside) / np.float32(_DIRECTIONS)
    slices = zip(tissue, bone, outside, share, strict=True)
    return np.stack([_slice(*maps, pixel, config) for maps in slices])


def _slice(
    tissue: np.ndarray,
    bone: np.ndarray,
    outside: np.ndarray,
    share: np.ndarray,
    pixel: tuple[float, float],
    config: BrainConfig,
) -> np.ndarray:
    """(H, W) tissue, bone, open air and share of directions with bone, of one slice → (H, W) bool, brain."""
    under_scalp = tissue & (ndimage.distance_transform_edt(~outside, sampling=pixel) > config.scalp_mm)
    candidate = (tissue & (share >= 0.85)) | (under_scalp & (share >= 0.5))
    core = _eroded(candidate, config.opening_mm, pixel)
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros_like(tissue)
    index = np.arange(1, count + 1)
    area = ndimage.sum_labels(core, labels, index) * pixel[0] * pixel[1] / 100.0
    least = np.where(area >= config.large_cm2, config.enclosed_large, config.enclosed)
    keep = ndimage.mean(share, labels, index) >= least
    keep &= area >= max(config.min_component_cm2, config.min_share * area.max())
    if not keep.any():
        return np.zeros_like(tissue)
    core = np.isin(labels, index[keep])
    brain = core | (candidate & _dilated(core, config.opening_mm + 1.0, pixel))
    bulge = under_scalp & ~brain & (share >= 0.3)
    if bulge.sum() * pixel[0] * pixel[1] / 100.0 > config.min_component_cm2:
        bulge &= _in_sight(bone, ndimage.center_of_mass(labels == index[np.argmax(area * keep)]))
        whole = brain | bulge
        wide = _dilated(_eroded(whole, config.defect_mm / 2, pixel), config.defect_mm / 2, pixel) & whole
        brain = _touching(brain | wide, core)
    return ndimage.binary_fill_holes(brain)


def _large_pieces(mask: np.ndarray, cm2: float, pixel: tuple[float, float]) -> np.ndarray:
    """The components of an (H, W) mask of at least this area."""
    labels, count = ndimage.label(mask)
    area = ndimage.sum_labels(mask, labels, np.arange(1, count + 1)) * pixel[0] * pixel[1] / 100.0
    return np.isin(labels, 1 + np.flatnonzero(area >= cm2))


def _eroded(mask: np.ndarray, radius_mm: float, pixel: tuple[float, float]) -> np.ndarray:
    """(H, W) bool eroded by a disc."""
    return ndimage.distance_transform_edt(mask, sampling=pixel) > radius_mm


def _dilated(mask: np.ndarray, radius_mm: float, pixel: tuple[float, float]) -> np.ndarray:
    """(H, W) bool dilated by a disc."""
    return ndimage.distance_transform_edt(~mask, sampling=pixel) <= radius_mm if mask.any() else mask


def _touching(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The components of an (H, W) mask that hold a pixel of the seed."""
    labels, _ = ndimage.label(mask)
    return np.isin(labels, np.unique(labels[seed & mask]))


def _in_sight(bone: np.ndarray, centre: tuple[float, ...]) -> np.ndarray:
    """(H, W) bool: pixels that no bone hides from the centre."""
    height, width = bone.shape
    longest = int(np.hypot(height, width)) + 1
    angles = np.linspace(-np.pi, np.pi, 720, endpoint=False)[:, None]
    radii = np.arange(longest)
    rows = np.rint(centre[0] + radii * np.sin(angles)).astype(int)
    columns = np.rint(centre[1] + radii * np.cos(angles)).astype(int)
    within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    hidden = np.maximum.accumulate(within & bone[rows.clip(0, height - 1), columns.clip(0, width - 1)], axis=1)
    y, x = np.arange(height)[:, None] - centre[0], np.arange(width)[None] - centre[1]
    angle = np.rint((np.arctan2(y, x) + np.pi) * 360 / np.pi).astype(int) % 720
    return ~hidden[angle, np.hypot(y, x).astype(int)]


def _background(hu: np.ndarray) -> float:
    """The value around a head whose skull was removed: the median of the slices' edges."""
    return float(np.median(np.concatenate([hu[:, [0, -1], :].ravel(), hu[:, :, [0, -1]].ravel()])))


def _without_specks(mask: np.ndarray, pixel: tuple[float, float], config: BrainConfig) -> np.ndarray:
    """(H, W) bool of a slice without skull → the same without small pieces and holes."""
    return ndimage.binary_fill_holes(_large_pieces(mask, config.min_component_cm2, pixel))


def _linked(brain: np.ndarray) -> np.ndarray:
    """(Z, H, W) bool → only those pieces of a slice that lie at least half over or under the brain next to it.

    Goes from the slice with most brain to both ends, so that the face does not begin where the brain has ended.
    """
    area = brain.sum(axis=(1, 2))
    middle = int(np.argmax(area))
    linked = np.zeros_like(brain)
    linked[middle] = brain[middle]
    for order in (range(middle - 1, -1, -1), range(middle + 1, len(brain))):
        last = brain[middle]
        for z in order:
            labels, count = ndimage.label(brain[z])
            if count == 0:
                continue
            overlap = ndimage.mean(last, labels, np.arange(1, count + 1))
            linked[z] = np.isin(labels, 1 + np.flatnonzero(overlap >= 0.5))
            if linked[z].any():
                last = linked[z]
    return linked


def _touching_border(mask: np.ndarray) -> np.ndarray:
    """The components of an (H, W) mask that touch the image's edge."""
    labels, _ = ndimage.label(mask)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, border[border > 0])


def _directions_with_bone(wall: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """In how many of sixteen directions a wall is met before open air. (Z, H, W) bool twice → (Z, H, W) int."""
    directions = np.zeros(wall.shape, np.uint8)
    for order, slopes in (((1, 0, 2), (-1.0, -0.5, 0.0, 0.5, 1.0)), ((2, 0, 1), (-0.5, 0.0, 0.5))):
        walls, closed = (np.ascontiguousarray(mask.transpose(order)) for mask in (wall, ~outside))
        counts = np.zeros(walls.shape, np.uint8)
        for way in (1, -1):
            for slope in slopes:
                _sweep(walls[::way], closed[::way], slope, counts[::way])
        directions += counts.transpose(np.argsort(order))
    return directions


def _sweep(wall: np.ndarray, closed: np.ndarray, slope: float, counts: np.ndarray) -> None:
    """Add 1 to `counts` where the last thing seen from axis 0's start, `slope` columns aside per row, was a wall."""
    seen = np.zeros(wall.shape[1:], bool)
    column = 0
    for row in range(len(wall)):
        step = int(np.floor(slope * row)) - column
        column += step
        if step > 0:
            seen[:, step:] = seen[:, :-step].copy()
            seen[:, :step] = False
        elif step < 0:
            seen[:, :step] = seen[:, -step:].copy()
            seen[:, step:] = False
        seen |= wall[row]
        seen &= closed[row]
        counts[row] += seen
