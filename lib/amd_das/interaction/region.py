"""What one mark means: the tissue that a foreground mark adds, and the part that a background mark takes away."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from amd_das.interaction.config import InteractionConfig
from amd_das.interaction.evidence import Evidence
from amd_das.interaction.travel import FAR, travel

_SURE = 0.1
"""Probability below which brain counts as free of hemorrhage (ours)."""

_SURROUNDINGS_MM = 40.0
"""Brain within this distance of a mark is what the mark is compared with, mm: more than the largest bleeds (ours)."""

_LEAST_SURROUNDINGS = 50
"""Fewer voxels of brain than this around a mark say nothing of its surroundings (ours)."""

_BRAIN_HU = 33.0
"""Brain where none is seen around a mark: between white and grey matter."""

_SAMPLE_MM = 1.5
"""The HU of a mark is the median within this distance in its slice, mm (ours)."""

_BONE_MARGIN_HU = 20.0
"""Tissue brighter than a mark by this, or by the mark's contrast if that is more, is bone and not the same (ours)."""

_UPPER = 75
"""Percentile of HU and of probability that stands for the true part of a piece (ours)."""

_WALL = 1e4
"""Cost of what cannot be passed."""

_BRIGHTEST_BLOOD_HU = 95.0
"""A mark on something brighter is on bone or calcium and is not grown by HU; clots reach about 90 (ours)."""

_OUTSIDE = 1.0
"""What lying outside the brain takes from the likeness to a mark inside it (ours)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Part of the slices."""

    box: tuple[slice, slice, slice]
    way: np.ndarray
    """(Z, Y, X) float32 of the box's shape: mm of easy tissue from the mark; `FAR` where the mark says nothing."""


def box_around(seeds: np.ndarray, evidence: Evidence, radius_mm: float) -> tuple[slice, slice, slice]:
    """The part of the slices within a radius, along each axis, of (n, 3) int seeds."""
    reach = np.ceil(radius_mm / np.array(evidence.spacing_mm)).astype(int)
    low = np.maximum(seeds.min(axis=0) - reach, 0)
    high = np.minimum(seeds.max(axis=0) + reach + 1, evidence.hu.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def depth_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(Z, Y, X) bool → float mm to the nearest voxel outside; the array's edge counts as inside."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    depth: np.ndarray = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    return depth


def grown(seeds: np.ndarray, start: np.ndarray, evidence: Evidence, config: InteractionConfig) -> Region:
    """What a foreground mark adds: connected tissue more like the mark than like its surroundings.

    Args:
        seeds: (n, 3) int voxels of the slices.
        start: (Z, 240, 240) bool, the mask so far.
        evidence: of the scan.
        config: how far.

    Returns:
        At least the seeds; it may overlap the mask so far.
    """
    box = box_around(seeds, evidence, config.radius_mm)
    local = seeds - [part.start for part in box]
    here = tuple(local.T)
    hu, probability, brain, already = evidence.hu[box], evidence.probabilities[box], evidence.brain[box], start[box]
    own = _own_hu(hu, local)
    wide = box_around(seeds, evidence, max(config.radius_mm, _SURROUNDINGS_MM))
    around = evidence.hu[wide][evidence.brain[wide] & ~start[wide] & (evidence.probabilities[wide] < _SURE)]
    middle = float(np.median(around)) if len(around) >= _LEAST_SURROUNDINGS else _BRAIN_HU
    likeness, sure = _likeness(hu, own, middle, config)
    sure *= own < _BRIGHTEST_BLOOD_HU
    bone = min(own + max(_BONE_MARGIN_HU, own - middle), max(own, _BRIGHTEST_BLOOD_HU))
    likeness = np.where(hu > bone, -1.0, likeness)
    likeness = likeness + config.probability_weight * (probability - probability[here].mean())
    if brain[here].mean() > 0.5:
        likeness = likeness - _OUTSIDE * ~brain
    cost = 1 + config.barrier * (-likeness).clip(0.0, 3.0)
    cost[already] = np.maximum(cost[already], config.through_known)
    way = _spread(local, (likeness > 0) & ~already, cost, sure, evidence, config)
    return Region(box=box, way=way + _unlike(hu, own, config))


def taken_away(
    seeds: np.ndarray, kept: np.ndarray, mask: np.ndarray, evidence: Evidence, config: InteractionConfig
) -> Region | None:
    """What a background mark takes away: its part of the mask, up to the true lesion that this part may hang on.

    The true lesion is what foreground marks say and what lies much deeper than the mark. Where there is neither, the
    whole piece goes. In between, a voxel belongs to the nearer of the two through tissue alike.

    Args:
        seeds: (n, 3) int voxels of the slices, the mark.
        kept: (m, 3) int, all foreground marks.
        mask: (Z, 240, 240) bool, the mask with what was added to it.
        evidence: of the scan.
        config: how far.

    Returns:
        None where the mark lies outside the mask.
    """
    box = box_around(seeds, evidence, config.radius_mm)
    corner = [part.start for part in box]
    inside = mask[box]
    local = seeds - corner
    local = local[inside[tuple(local.T)]]
    if not len(local):
        return None
    hu, probability = evidence.hu[box], evidence.probabilities[box]
    at = tuple(local.T)
    plain, limit = np.where(inside, 1.0, _WALL), 2 * config.radius_mm
    own_way = travel(plain, evidence.spacing_mm, local, limit)
    piece = inside & (own_way < limit)
    own, own_p = _own_hu(hu, local), float(probability[at].mean())
    bright, probable = np.percentile(hu[piece], _UPPER), np.percentile(probability[piece], _UPPER)
    depth = depth_mm(inside, evidence.spacing_mm)
    own_depth = float(depth[at].max())
    core = depth >= max(config.core_depth * own_depth, own_depth + config.core_margin_mm)
    if bright - own >= config.least_contrast_hu:
        core |= hu >= (own + bright) / 2 + config.least_contrast_hu / 4
    if probable - own_p >= config.alike_probability:
        core |= probability >= (own_p + probable) / 2 + config.alike_probability / 4
    near = kept - corner
    near = near[((near >= 0) & (near < inside.shape)).all(axis=1)]
    core[tuple(near.T)] = True
    core &= piece
    core[at] = False
    if not core.any():
        return Region(box=box, way=np.where(piece, own_way + _unlike(hu, own, config), FAR))
    own_way[own_way >= travel(plain, evidence.spacing_mm, np.argwhere(_rim(core)), limit)] = FAR
    likeness, sure = _likeness(hu, own, float(np.median(hu[core])), config)
    likeness = likeness + config.probability_weight * np.sign(own_p - np.median(probability[core])) * (
        probability - own_p
    )
    cost = np.where(piece & ~core, 1 + config.barrier * (-likeness).clip(0.0, 3.0), _WALL)
    way = np.minimum(own_way, _spread(local, (likeness > 0) & piece, cost, sure, evidence, config))
    return Region(box=box, way=np.where(piece & ~core, way + _unlike(hu, own, config), FAR))


def _rim(core: np.ndarray) -> np.ndarray:
    """(Z, Y, X) bool without what lies wholly inside: ways to the outside begin at the rim."""
    return core & ~ndimage.binary_erosion(core)


def _likeness(hu: np.ndarray, own: float, other: float, config: InteractionConfig) -> tuple[np.ndarray, float]:
    """How much more like a mark than like something else: above 0 on the mark's side, 1 at the mark itself.

    Returns:
        (Z, Y, X) float, and from 0 to 1 how far HU can tell the two apart at all.
    """
    contrast = own - other
    sure = float(np.clip(abs(contrast) / config.least_contrast_hu - 1, 0.0, 1.0))
    if sure == 0.0:
        return np.full(hu.shape, -1.0), 0.0
    edge = other + config.level * contrast
    return (hu - edge) / (own - edge), sure


def _unlike(hu: np.ndarray, own: float, config: InteractionConfig) -> np.ndarray:
    """(Z, Y, X) mm by which a mark seems farther from tissue of other HU, where marks of both sides claim it."""
    return config.unlike_mm * np.abs(hu - own) / config.alike_hu


def _spread(
    seeds: np.ndarray,
    like: np.ndarray,
    cost: np.ndarray,
    sure: float,
    evidence: Evidence,
    config: InteractionConfig,
) -> np.ndarray:
    """Ways to what a mark reaches: the farther, the deeper in like tissue it is, and the surer that is told apart."""
    here = tuple(seeds.T)
    like[here] = True
    depth = float(depth_mm(like, evidence.spacing_mm)[here].max())
    reach = min(config.radius_mm, config.reach_mm + config.reach_per_depth * max(depth - 1.0, 0.0)) * sure
    reach = max(reach, config.least_reach_mm)
    cost[here] = 1.0
    return travel(cost, evidence.spacing_mm, seeds, reach)


def _own_hu(hu: np.ndarray, seeds: np.ndarray) -> float:
    """Median HU at the seeds and around them, in their slices."""
    reach = int(_SAMPLE_MM)
    offsets = np.array([(0, y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)])
    around = (seeds[:, None] + offsets).reshape(-1, 3)
    around = around[((around >= 0) & (around < hu.shape)).all(axis=1)]
    return float(np.median(hu[tuple(np.unique(around, axis=0).T)]))
