"""A head with a bleed that the network misses."""

import numpy as np
import pytest
from helpers.ellipsoid_head import Head, make_head
from helpers.evidence import evidence_of

from amd_das.interaction import Evidence
from amd_das.volume import Volume


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head((22, 170, 170), (5.0, 1.1, 1.1))


@pytest.fixture(scope="session")
def volume(head: Head) -> Volume:
    return head.volume()


@pytest.fixture(scope="session")
def blood(head: Head) -> np.ndarray:
    """(I, J, K) bool."""
    return head.blood.transpose(2, 1, 0)


@pytest.fixture(scope="session")
def evidence(volume: Volume) -> Evidence:
    return evidence_of(volume)


@pytest.fixture(scope="session")
def middle(blood: np.ndarray) -> tuple[int, int, int]:
    """A voxel in the middle of the bleed."""
    i, j, k = (int(round(n)) for n in np.argwhere(blood).mean(axis=0))
    return i, j, k
