"""How far a mark is from each voxel, in mm of easy tissue: the geodesic distance, by SimpleITK's fast marching."""

import numpy as np
import SimpleITK as sitk

FAR = np.float32(1e6)
"""Of what is not reached."""


def travel(cost: np.ndarray, spacing_mm: tuple[float, float, float], seeds: np.ndarray, farthest: float) -> np.ndarray:
    """Shortest ways from the nearest seed.

    Args:
        cost: (Z, Y, X) float32, how many mm each mm counts.
        spacing_mm: (dz, dy, dx).
        seeds: (n, 3) int voxel numbers, at least one.
        farthest: what is farther is not looked at, mm.

    Returns:
        (Z, Y, X) float32; :data:`FAR` where the way is longer than ``farthest``.
    """
    speed = sitk.GetImageFromArray(np.float32(1) / cost.astype(np.float32, copy=False))
    speed.SetSpacing([float(step) for step in spacing_mm[::-1]])
    marching = sitk.FastMarchingImageFilter()
    marching.SetTrialPoints([[int(n) for n in seed[::-1]] for seed in np.unique(seeds, axis=0)])
    marching.SetStoppingValue(float(farthest))
    way = sitk.GetArrayFromImage(marching.Execute(speed))
    return np.where(way > farthest, FAR, way).astype(np.float32)
