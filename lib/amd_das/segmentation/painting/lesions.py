"""What becomes of the lesions a slice has: gliomas look like few bleeds."""

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, distance_transform_edt, gaussian_filter

from amd_das.segmentation.painting.canvas import BLOOD_EDGE_PX, EDGE_PX, texture


def change_lesion(
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
        gone = gaussian_filter((binary_dilation(lesion, iterations=2) | rim).astype(float), EDGE_PX)
        below = hu + (normal - hu) * gone
    blood = rng.uniform(45, 85) + texture(hu.shape, rng) if drawn["clot"] else hu
    strength = rng.uniform(0.4, 1.15) if drawn["pale"] else 1.0
    share = gaussian_filter(kept.astype(float), rng.uniform(*BLOOD_EDGE_PX))
    return below + (normal + strength * (blood - normal) - below) * share, kept


def _part_of(lesion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lesion's middle, or patches of it, or something between; never nothing."""
    depth = distance_transform_edt(lesion)
    patches = gaussian_filter(rng.standard_normal(lesion.shape), rng.uniform(1.5, 6.0))
    order = depth / depth.max() + rng.uniform(0.0, 1.5) * patches / patches.std() * 0.5
    kept = binary_opening(lesion & (order > np.quantile(order[lesion], rng.uniform(0.1, 0.95))))
    return kept if kept.any() else lesion
