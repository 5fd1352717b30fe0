"""A head CT volume → windowed 1 mm axial slices of its brain: the one preprocessing of training and inference."""

import logging
from dataclasses import dataclass, field

import numpy as np

from amd_das.errors import ConfigError, NotHeadCtError
from amd_das.preprocessing.brain import BrainConfig, brain_mask
from amd_das.preprocessing.grid import AxialGrid
from amd_das.preprocessing.hu import check_brain, check_head_ct
from amd_das.preprocessing.window import to_window
from amd_das.volume import Volume

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """Settings of the preprocessing."""

    brain: BrainConfig = field(default_factory=BrainConfig)
    """Thresholds and radii of the brain extraction."""

    slab_mm: float = 3.0
    """Thinner slices are averaged to at most this many mm, for their noise and for speed; 0 keeps all (ours)."""

    longest_brain_mm: float = 215.0
    """A brain longer than this in-plane, mm, means the pixel size is wrong (ours; adults: 150-190)."""

    smallest_field_mm: float = 60.0
    """A field of view smaller than this, mm, means the pixel size is wrong (ours)."""

    widest_field_mm: float = 400.0
    """Pixels of exactly 1 mm over a field of view wider than this, mm, are a placeholder (ours; heads: 200-320)."""

    def __post_init__(self) -> None:
        if self.slab_mm < 0 or self.longest_brain_mm <= 0 or self.smallest_field_mm < 0:
            raise ConfigError(
                f"slab_mm {self.slab_mm}, longest_brain_mm {self.longest_brain_mm}, smallest_field_mm "
                f"{self.smallest_field_mm}: expected no negative value, and longest_brain_mm > 0"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Preprocessed:
    """What the networks see of one volume."""

    slices: np.ndarray
    """(Z, 240, 240) float32 in [0, 1]: the 0-100 HU window, 0 outside the brain. Row 0 anterior, column 0 right."""

    brain: np.ndarray
    """(Z, 240, 240) bool."""

    grid: AxialGrid
    """The way from the volume's voxels to the slices and back."""

    warnings: tuple[str, ...]
    """The volume's warnings and those found here."""

    @property
    def with_brain(self) -> np.ndarray:
        """(n,) numbers of the slices that contain brain, ascending."""
        return np.flatnonzero(self.brain.any(axis=(1, 2)))


def preprocess(volume: Volume, config: PreprocessConfig | None = None) -> Preprocessed:
    """Check HU, find the brain, window to 0-100 HU and resample to 1 mm, 240 × 240 axial slices.

    Raises:
        NotHeadCtError: the values are not HU or there is no brain in view.
        GeometryError: the affine is unusable.
    """
    config = config or PreprocessConfig()
    volume = check_head_ct(volume)
    warnings = list(volume.warnings)
    grid = AxialGrid.of(volume, config.slab_mm)
    hu = np.ascontiguousarray(grid.axial(volume.array))
    if not grid.spacing_known:
        warnings.append(
            "The pixel size is unknown: the field of view was scaled to 240 x 240 pixels, and volumes in mL are not "
            "reliable."
        )
    field_mm = max(grid.axial_shape[1] * grid.spacing_mm[1], grid.axial_shape[2] * grid.spacing_mm[2])
    brain = brain_mask(hu, grid.spacing_mm, config.brain)
    if grid.spacing_known:
        low, high = grid.extent_mm(brain) if brain.any() else (np.zeros(2), np.zeros(2))
        measured = ""
        if field_mm < config.smallest_field_mm:
            measured = f"the field of view would be {field_mm:.0f} mm wide"
        elif max(high - low) > config.longest_brain_mm:
            measured = f"the brain would be {max(high - low):.0f} mm long"
        elif field_mm > config.widest_field_mm and np.allclose(grid.spacing_mm[1:], 1.0, atol=1e-6):
            measured = f"it is exactly 1 mm, and the field of view would be {field_mm:.0f} mm wide"
        if measured:
            warnings.append(
                f"The pixel size cannot be right: {measured}. It was disregarded, the field of view scaled to 240 x "
                "240 pixels, and volumes in mL are not reliable."
            )
            grid = AxialGrid.of(volume, config.slab_mm, spacing_known=False)
            brain = brain_mask(hu, grid.spacing_mm, config.brain)
    if not brain.any():
        raise NotHeadCtError(
            f"no brain was found in the {volume.shape} volume; expected a head CT in HU with brain (about 33 HU) "
            "inside the skull, or skull-stripped. Check that the right series was sent."
        )
    check_brain(hu, brain)
    grid = grid.centred_on(brain)
    coverage = grid.forward_axial(brain)
    # The mean over brain only: bone next to it must not shine into the rim.
    masked = np.where(brain, to_window(hu), np.float32(0.0))
    inside = coverage >= 0.5
    slices = np.where(inside, grid.forward_axial(masked) / np.maximum(coverage, 0.5), np.float32(0.0))
    logger.debug("%s: %d of %d slices contain brain", volume.case_id, int(inside.any(axis=(1, 2)).sum()), len(slices))
    return Preprocessed(slices=slices.clip(0.0, 1.0), brain=inside, grid=grid, warnings=tuple(warnings))
