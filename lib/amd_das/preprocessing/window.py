"""The one definition of the grey-value window and of the network's input range.

Brain, cerebrospinal fluid and blood all lie within 0-100 HU, the range of Muschelli's brain extraction; the paper's
"8 bit" CT is this range, so its lesion threshold of 120/255 is 47 HU.
"""

from typing import Final, TypeVar

import numpy as np
from torch import Tensor

WINDOW_HU: Final = (0.0, 100.0)
"""HU shown as black and as white (Muschelli 2017)."""

Array = TypeVar("Array", np.ndarray, Tensor)


def to_window(hu: Array) -> Array:
    """Array or tensor of any shape in HU → the same shape, clipped and scaled to [0, 1]."""
    low, high = WINDOW_HU
    return ((hu - low) / (high - low)).clip(0.0, 1.0)


def to_network(unit: Array) -> Array:
    """Array or tensor of any shape in [0, 1] → the same shape in [-1, 1], the range every network here sees."""
    return unit * 2.0 - 1.0


def from_network(image: Array) -> Array:
    """Array or tensor of any shape in [-1, 1] → the same shape in [0, 1]."""
    return (image + 1.0) / 2.0


def to_hu(unit: Array) -> Array:
    """Array or tensor of any shape in [0, 1] → the same shape in HU; what the window clipped stays clipped."""
    low, high = WINDOW_HU
    return unit * (high - low) + low
