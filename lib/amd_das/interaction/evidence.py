"""What a correction of one scan is decided by, computed once: HU and probabilities on the same 1 mm slices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from amd_das.inference import InferenceConfig, Predictor, ProbabilityMap
from amd_das.interaction.config import BRAIN_WINDOW_HU, InteractionConfig
from amd_das.preprocessing import AxialGrid
from amd_das.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """One scan as a correction sees it. The slices are orthonormal in mm, whatever the scan's tilt or shear."""

    volume: Volume
    found: ProbabilityMap
    config: InteractionConfig

    @property
    def grid(self) -> AxialGrid:
        """The way from the volume's voxels to the slices and back."""
        return self.found.prepared.grid

    @property
    def probabilities(self) -> np.ndarray:
        """(Z, 240, 240) float32 in [0, 1]."""
        return self.found.slices

    @property
    def brain(self) -> np.ndarray:
        """(Z, 240, 240) bool."""
        return self.found.prepared.brain

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(dz, dy, dx) mm of the slices."""
        return self.grid.slice_mm, 1.0, 1.0

    @cached_property
    def hu(self) -> np.ndarray:
        """(Z, 240, 240) float32 HU within :data:`BRAIN_WINDOW_HU`, smoothed in-plane; not only the brain."""
        axial = np.ascontiguousarray(self.grid.axial(self.volume.array)).clip(*BRAIN_WINDOW_HU)
        smoothing = self.config.smoothing_mm
        return ndimage.gaussian_filter(self.grid.forward_axial(axial), (0.0, smoothing, smoothing))


def gather(
    volume: Volume,
    predictor: Predictor,
    inference: InferenceConfig | None = None,
    config: InteractionConfig | None = None,
) -> Evidence:
    """Everything a correction needs of a scan; seconds. Raises InputError for anything but a head CT."""
    evidence = Evidence(
        volume=volume, found=predictor.probability_map(volume, inference), config=config or InteractionConfig()
    )
    evidence.hu  # noqa: B018  # now, not at the first click
    return evidence
