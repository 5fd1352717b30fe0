"""One image in memory and where its voxels are: what every reader returns and every later step takes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class SliceSource:
    """The DICOM file and frame one slice came from."""

    path: Path

    frame: int
    """Counted from 0; 0 in a file of one image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """A three-dimensional image with its geometry and where it came from."""

    array: np.ndarray
    """(I, J, K) float32, HU for CT; axis order as NIfTI stores it. A single slice has one axis of length 1."""

    affine: np.ndarray
    """(4, 4) float64: voxel index (i, j, k, 1), at voxel centres, to RAS+ millimetres. May be oblique or sheared."""

    case_id: str
    """A name for files and reports; never a patient's name."""

    source: str = "array"
    """How it was stored: "nifti", "nrrd", "dicom", "phantom" or "array"."""

    spacing_known: bool = True
    """False where the file gives no voxel size (then the affine is a placeholder and mL cannot be trusted)."""

    warnings: tuple[str, ...] = ()
    """What a reader noticed that a user should know."""

    slice_sources: tuple[SliceSource, ...] = ()
    """One for each index of the last array axis where the volume was read from DICOM; empty otherwise."""

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm between neighbouring voxels along each array axis."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL (the determinant, so right for sheared grids too)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    def apart_mm(self, other: "Volume") -> float:
        """How far the corners of two volumes of one shape lie apart at most, mm; 0 where one has no known place."""
        if not (self.spacing_known and other.spacing_known):
            return 0.0
        corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(self.shape)[:, None] - 1)
        apart = (self.affine - other.affine)[:3] @ np.vstack([corners, np.ones(8)])
        return float(np.linalg.norm(apart, axis=0).max())

    def with_warnings(self, *warnings: str) -> "Volume":
        """The same volume with more warnings."""
        return replace(self, warnings=self.warnings + warnings)
