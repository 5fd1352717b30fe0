"""One rendered case with everything that is known about it."""

from dataclasses import dataclass, field

import numpy as np

from amd_das.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomCase:
    """A rendered scan with everything that is known about it."""

    volume: Volume
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    """Lesion kind → (I, J, K) uint8, 1 where at least half of the voxel is lesion; every kind is there."""

    record: dict[str, object] = field(default_factory=dict)
    """Seed, scanner and lesions in words and numbers."""
