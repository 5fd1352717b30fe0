"""Where the brains of some slices are, for pictures."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import ndimage

AROUND_BRAIN_PX: Final = 5


def crop_to_brains(images: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """Rows and columns of (H, W) slices that hold all their brains, with a margin; all where there is none."""
    seen = np.any([image > 0 for image in images], axis=0)
    if not seen.any():
        return slice(0, seen.shape[0]), slice(0, seen.shape[1])
    (box,) = ndimage.find_objects(seen.astype(np.uint8))
    rows, columns = (slice(max(0, part.start - AROUND_BRAIN_PX), part.stop + AROUND_BRAIN_PX) for part in box)
    return rows, columns
