"""One small picture of a scan: the slice with the most of the lesion, outlined; the middle one where there is none."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

from amd_das.errors import GeometryError
from amd_das.files import write_whole
from amd_das.output.drawing import greys, paint
from amd_das.output.overlay import head_crop
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

SIDE_PX: Final = 240
"""The longer side; shown at half of it, so that it is sharp on every screen."""


def render_thumbnail(volume: Volume, mask: np.ndarray | None = None) -> Image.Image:
    """Draw it.

    Args:
        volume: (I, J, K) HU, any orientation.
        mask: (I, J, K), lesion where not 0, on the volume's grid; None where nothing is known of one.

    Returns:
        An RGB image of the head, anterior up, the patient's right on the left.

    Raises:
        GeometryError: mask and image differ in shape, or the image has no axial slices.
    """
    if mask is not None and mask.shape != volume.shape:
        raise GeometryError(f"the mask has shape {mask.shape}, its image {volume.shape}: draw a mask on its own image")
    grid = AxialGrid.of(volume)
    hu = grid.axial(volume.array)
    lesion = np.zeros(hu.shape, bool) if mask is None else grid.axial(mask) != 0
    areas = lesion.sum(axis=(1, 2))
    place = int(areas.argmax()) if areas.any() else len(hu) // 2
    rows, columns = head_crop(hu, grid.spacing_mm)
    height = (rows.stop - rows.start) * grid.spacing_mm[1]
    width = (columns.stop - columns.start) * grid.spacing_mm[2]
    scale = SIDE_PX / max(height, width)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    picture = Image.fromarray(greys(hu[place, rows, columns])).resize(size, Image.Resampling.BILINEAR)
    rgb = np.asarray(picture.convert("RGB"), np.float32).copy()
    if areas.any():
        region = Image.fromarray(lesion[place, rows, columns].astype(np.uint8) * 255)
        cover = np.asarray(region.resize(size, Image.Resampling.BILINEAR))
        inside = cover >= min(128, int(cover.max()))
        paint(rgb, ndimage.binary_dilation(inside))  # once more, so that the line is two pixels wide
        paint(rgb, inside)
    return Image.fromarray(rgb.astype(np.uint8))


def write_thumbnail(volume: Volume, mask: np.ndarray | None, path: Path) -> Path:
    """Write :func:`render_thumbnail` as PNG; the file appears complete or not at all. Returns ``path``."""
    buffer = io.BytesIO()
    render_thumbnail(volume, mask).save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())
