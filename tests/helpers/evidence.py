"""Scans as a correction sees them, without a network."""

from dataclasses import replace

import numpy as np

from amd_das.inference import ProbabilityMap
from amd_das.interaction import Evidence, InteractionConfig
from amd_das.preprocessing import preprocess
from amd_das.volume import Volume


def evidence_of(volume: Volume, probabilities: np.ndarray | None = None) -> Evidence:
    """What a network would hand over that says ``probabilities``, (I, J, K) on the volume's grid; 0 if None."""
    prepared = preprocess(volume)
    slices = np.zeros_like(prepared.slices)
    if probabilities is not None:
        slices = prepared.grid.forward(probabilities.astype(np.float32)) * prepared.brain
    found = ProbabilityMap(prepared=prepared, slices=slices.astype(np.float32), warnings=())
    return Evidence(volume=volume, found=found, config=InteractionConfig())


def sheared(volume: Volume, millimetres: float = 3.0) -> Volume:
    """The same voxels in a scan whose slices each lie aside of the last, turned and flipped."""
    affine = volume.affine.copy()
    affine[1, 2] += millimetres
    c, s = np.cos(0.2), np.sin(0.2)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine[:3] = turn @ affine[:3]
    array = volume.array[::-1]
    affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
    affine[:3, 0] *= -1
    return replace(volume, array=np.ascontiguousarray(array), affine=affine)
