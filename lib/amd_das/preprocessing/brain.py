"""Brain extraction from head CT: everything inside the skull that is not bone.

In the spirit of Muschelli et al. 2017 (threshold 0-100 HU, smoothing, largest component, filling), with one idea added
for skulls with a piece missing: seen from inside the skull, bone lies in (nearly) every direction before open air; seen
from the scalp, an orbit or a neck muscle it does not. All morphology is in-plane, with radii in millimetres, so that
thick slices, thin slices and a single slice are treated alike.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from amd_das.errors import ConfigError

_DIRECTIONS = 8


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

    min_component_cm2: float = 2.0
    """Smaller pieces of a slice are not brain, cm² (ours)."""

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
    bone = _block_mean(hu >= _bone_threshold(hu, config), step_y, step_x) >= 0.5
    low = max(-100.0, float(hu.min()))
    soft = _block_mean(np.clip(hu, low, 100.0), step_y, step_x)
    sigma = [config.smoothing_mm / p for p in pixel]
    soft = ndimage.gaussian_filter(soft, (0.0, *sigma))
    tissue = (soft > max(config.soft_hu[0], low + 2.0)) & ~bone

    if bone.sum() < 0.03 * tissue.sum():
        if ((soft > -150.0) & (soft < -50.0)).sum() > 0.1 * tissue.sum():
            return np.zeros(hu.shape, bool)  # fat and no bone: not a head, with or without its skull
        brain = np.stack([_stripped_slice(t | b, pixel, config) for t, b in zip(tissue, bone, strict=True)])
    else:
        brain = np.stack([_slice(t, b, pixel, config) for t, b in zip(tissue, bone, strict=True)])
    return _enlarge(brain, step_y, step_x, hu.shape)


def _bone_threshold(hu: np.ndarray, config: BrainConfig) -> float:
    """HU from which a voxel is bone; just under the maximum where values were clipped to a brain window."""
    top = float(hu.max())
    return config.bone_hu if top > config.bone_hu * 1.2 else top - 2.0


def _block_mean(array: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    """(Z, H, W) → (Z, ceil(H/step_y), ceil(W/step_x)) float32 means of blocks, edges repeated."""
    _, height, width = array.shape
    padded = np.pad(array, ((0, 0), (0, -height % step_y), (0, -width % step_x)), mode="edge")
    z, h, w = padded.shape
    return padded.reshape(z, h // step_y, step_y, w // step_x, step_x).mean(axis=(2, 4), dtype=np.float32)


def _enlarge(mask: np.ndarray, step_y: int, step_x: int, shape: tuple[int, ...]) -> np.ndarray:
    """Blocks back to pixels."""
    return mask.repeat(step_y, axis=1).repeat(step_x, axis=2)[:, : shape[1], : shape[2]]


def _slice(tissue: np.ndarray, bone: np.ndarray, pixel: tuple[float, float], config: BrainConfig) -> np.ndarray:
    """(H, W) bool tissue and bone of one slice → (H, W) bool, what the skull encloses."""
    outside = _touching_border(~tissue & ~bone)
    wall = bone.copy()
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        wall[edge] |= tissue[edge]  # a head cut off by the field of view goes on behind the edge
    hits = _directions_with_bone(wall, outside)
    depth = ndimage.distance_transform_edt(~outside, sampling=pixel)
    candidate = tissue & ((hits >= 7) | ((hits >= 5) & (depth > config.scalp_mm)))
    core = ndimage.distance_transform_edt(candidate, sampling=pixel) > config.opening_mm
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros_like(tissue)
    index = np.arange(1, count + 1)
    area = ndimage.sum_labels(core, labels, index) * pixel[0] * pixel[1] / 100.0
    enclosed = ndimage.mean(hits, labels, index) / _DIRECTIONS
    keep = (enclosed >= config.enclosed) & (area >= 0.3 * config.min_component_cm2)
    core = np.isin(labels, index[keep])
    grown = ndimage.distance_transform_edt(~core, sampling=pixel) <= config.opening_mm + 1.0
    return ndimage.binary_fill_holes((grown & candidate) | core)


def _stripped_slice(tissue: np.ndarray, pixel: tuple[float, float], config: BrainConfig) -> np.ndarray:
    """(H, W) bool of a slice without skull → the same without specks and holes."""
    labels, count = ndimage.label(tissue)
    if count == 0:
        return tissue
    area = ndimage.sum_labels(tissue, labels, np.arange(1, count + 1)) * pixel[0] * pixel[1] / 100.0
    return ndimage.binary_fill_holes(np.isin(labels, 1 + np.flatnonzero(area >= 0.3 * config.min_component_cm2)))


def _touching_border(mask: np.ndarray) -> np.ndarray:
    """The components of an (H, W) mask that touch the image's edge."""
    labels, _ = ndimage.label(mask)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, border[border > 0])


def _directions_with_bone(wall: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """For each pixel, in how many of eight directions a wall is met before open air. (H, W) bool twice → (H, W) int."""
    state = wall.astype(np.int8) - (outside & ~wall)
    hits = np.zeros(state.shape, np.int8)
    for flip in (np.s_[:, :], np.s_[::-1, ::-1]):
        hits[flip] += _last_seen_is_wall(state[flip])
        hits[flip] += _last_seen_is_wall(state[flip].T).T
        hits[flip] += _unskew(_last_seen_is_wall(_skew(state[flip])), state.shape)
        mirrored = state[flip][:, ::-1]
        hits[flip] += _unskew(_last_seen_is_wall(_skew(mirrored)), state.shape)[:, ::-1]
    return hits


def _last_seen_is_wall(state: np.ndarray) -> np.ndarray:
    """Along axis 0: whether the last pixel so far that is not 0 (tissue) is +1 (wall), not -1 (air)."""
    rows = np.arange(1, state.shape[0] + 1, dtype=np.int32)[:, None]
    last = np.maximum.accumulate(np.where(state != 0, rows, 0), axis=0)
    seen = np.take_along_axis(state, np.maximum(last - 1, 0), axis=0)
    return (last > 0) & (seen > 0)


def _skew(state: np.ndarray) -> np.ndarray:
    """(H, W) → (H, H + W), each row shifted right by its number: diagonals become columns."""
    height, width = state.shape
    padded = np.zeros((height, height + width + 1), state.dtype)
    padded[:, :width] = state
    return padded.reshape(-1)[: height * (height + width)].reshape(height, height + width)


def _unskew(skewed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of :func:`_skew`."""
    height, width = shape
    flat = np.zeros(height * (height + width + 1), skewed.dtype)
    flat[: skewed.size] = skewed.reshape(-1)
    return flat.reshape(height, height + width + 1)[:, :width]
