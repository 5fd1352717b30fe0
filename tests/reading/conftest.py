"""Small images for every reader."""

import numpy as np
import pytest

AXIAL = np.array([[-0.5, 0, 0, 60], [0, -0.5, 0, 70], [0, 0, 5, -30], [0, 0, 0, 1.0]])

_ABOUT_Z = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.0]])
_ABOUT_X = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])


def _affine(matrix: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, (12.5, -70.25, 33.0)
    return affine


AFFINES = {
    "axial": AXIAL,
    "flipped": AXIAL @ np.diag([-1.0, 1, -1, 1]),
    "sagittal": _affine(np.array([[0, 0, 1.25], [-0.5, 0, 0], [0, -0.75, 0]])),
    "oblique": _affine(_ABOUT_Z @ _ABOUT_X @ np.diag([-0.45, -0.45, 3.0])),
    "sheared": _affine(np.array([[-0.5, 0, 0], [0, -0.5, 1.2], [0, 0, 4.8]])),
}
"""(4, 4) voxel to RAS mm: the grids a head CT comes on."""


@pytest.fixture(params=AFFINES)
def affine(request: pytest.FixtureRequest) -> np.ndarray:
    return AFFINES[request.param]


@pytest.fixture
def hu() -> np.ndarray:
    """(9, 8, 6) int16 in HU, every voxel different enough to notice an exchanged axis."""
    return np.random.default_rng(1).integers(-1000, 2000, (9, 8, 6)).astype(np.int16)
