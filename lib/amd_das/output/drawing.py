"""How an image and a lesion on it look, in every picture we make."""

from typing import Final

import numpy as np
from PIL import ImageFont
from scipy import ndimage

from amd_das.conventions import LINE_RGB

DISPLAY_HU: Final = (0.0, 80.0)
"""HU shown as black and as white (the usual brain window: level 40, width 80)."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

REFERENCE_RGB: Final = (64, 196, 255)
"""Outlines of a reference, beside those of a prediction."""

TEXT_RGB: Final = (235, 235, 235)
FAINT_RGB: Final = (150, 150, 150)


def greys(hu: np.ndarray) -> np.ndarray:
    """HU → uint8 in the window of display, same shape."""
    low, high = DISPLAY_HU
    return np.rint(255 * ((hu - low) / (high - low)).clip(0, 1)).astype(np.uint8)


def paint(rgb: np.ndarray, region: np.ndarray, *, fill: float = 0.0, colour: tuple[int, ...] = LINE_RGB) -> None:
    """Draw the outline of a region into an image, just outside of it so that what it encloses is seen.

    Args:
        rgb: (H, W, 3), changed in place.
        region: (H, W) bool.
        fill: opacity of the colour inside.
        colour: RGB, 0-255 each.
    """
    if fill:
        rgb[region] += (fill * (np.array(colour) - rgb[region])).astype(rgb.dtype)
    rgb[ndimage.binary_dilation(region) & ~region] = colour


def font(size: float) -> Font:
    """The font of all pictures, `size` in pixels."""
    return ImageFont.load_default(size)


def lesions_in_words(count: int) -> str:
    """ "1 lesion", "2 lesions"."""
    return f"{count} lesion{'' if count == 1 else 's'}"
