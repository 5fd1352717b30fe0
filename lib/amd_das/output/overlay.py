"""One picture of a result: a montage of axial slices with the outline of every lesion.

Slices are shown as radiologists see them: anterior up, the patient's right on the left, from inferior to superior.
"""

import io
import math
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from amd_das.conventions import LABEL_NAME, LINE_RGB, RESEARCH_NOTICE
from amd_das.errors import GeometryError
from amd_das.files import write_whole
from amd_das.measurement import COARSE_MM, Measurement, head_outline
from amd_das.output.drawing import (
    DISPLAY_HU,
    FAINT_RGB,
    TEXT_RGB,
    font,
    greys,
    lesions_in_words,
    paint,
)
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

MAX_TILES: Final = 24
"""Slices in one montage."""

_FILL = 0.3  # opacity of the colour inside the outline
_MARGIN, _GAP, _SMALLEST_WIDTH = 12, 4, 640  # pixels
_CROP_MARGIN_MM = 8.0


def write_overlay(
    volume: Volume, mask: np.ndarray, measurement: Measurement, path: Path, *, model_version: str = ""
) -> Path:
    """Write :func:`render_overlay` as PNG; the file appears complete or not at all. Returns ``path``."""
    buffer = io.BytesIO()
    render_overlay(volume, mask, measurement, model_version=model_version).save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())


def render_overlay(
    volume: Volume, mask: np.ndarray, measurement: Measurement, *, model_version: str = ""
) -> Image.Image:
    """Draw the montage.

    Args:
        volume: (I, J, K) HU, any orientation.
        mask: (I, J, K), lesion where not 0, on the volume's grid.
        measurement: of that mask.
        model_version: as in the result's JSON; left out when empty.

    Returns:
        An RGB image of at most :data:`MAX_TILES` slices, each with its number on the volume's array axis (from 0).

    Raises:
        GeometryError: mask and image differ in shape, or the image has no axial slices.
    """
    if mask.shape != volume.shape:
        raise GeometryError(f"the mask has shape {mask.shape}, its image {volume.shape}: draw a mask on its own image")
    grid = AxialGrid.of(volume)
    hu, lesion = grid.axial(volume.array), grid.axial(mask) != 0
    chosen = choose_slices(lesion.sum(axis=(1, 2)))
    rows, columns = head_crop(hu, grid.spacing_mm)
    numbers = np.arange(len(hu))[:: -1 if grid.flips[0] else 1]
    size = _tile_size(len(chosen), (rows, columns), grid.spacing_mm)
    tiles = [_tile(hu[z, rows, columns], lesion[z, rows, columns], size, int(numbers[z])) for z in chosen]
    return _page(tiles, _header(volume, measurement, model_version))


def choose_slices(areas: np.ndarray, most: int = MAX_TILES) -> list[int]:
    """Which slices to show, ascending: those with lesion and their neighbours, and an even spread of the others.

    Args:
        areas: (Z,) lesion pixels of each slice.
        most: how many at most. Long lesions are thinned evenly, keeping their largest slice, so that a quarter of
            the tiles remains for the rest of the scan.
    """
    count = len(areas)
    if count <= most:
        return list(range(count))
    near = np.flatnonzero(ndimage.binary_dilation(areas > 0))
    room = most - most // 4
    if len(near) > room:
        near = np.append(near[_spread(len(near), room - 1)], areas.argmax())
    others = np.setdiff1d(np.arange(count), near)
    rest = others[_spread(len(others), most - len(np.unique(near)))]
    return np.union1d(near, rest).astype(int).tolist()


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0 … count - 1, evenly spread, without the two ends unless all fit."""
    most = min(most, count)
    return ((np.arange(most) + 0.5) * count / max(most, 1)).astype(int)


def head_crop(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of (Z, H, W) slices that hold the head, with a margin; all of them where no head is seen."""
    steps = [max(1, round(COARSE_MM / mm)) for mm in spacing_mm[1:]]
    head = head_outline(hu[:, :: steps[0], :: steps[1]]).any(axis=0)
    if not head.any():
        return slice(0, hu.shape[1]), slice(0, hu.shape[2])
    (box,) = ndimage.find_objects(head.astype(np.uint8))
    crop = []
    for part, step, mm, length in zip(box, steps, spacing_mm[1:], hu.shape[1:], strict=True):
        margin = round(_CROP_MARGIN_MM / mm)
        crop.append(slice(max(0, part.start * step - margin), min(length, part.stop * step + margin)))
    return crop[0], crop[1]


def _tile_size(count: int, crop: tuple[slice, slice], spacing_mm: tuple[float, float, float]) -> tuple[int, int]:
    """(width, height) in pixels with the true aspect ratio; larger where there are few tiles."""
    height, width = ((part.stop - part.start) * mm for part, mm in zip(crop, spacing_mm[1:], strict=True))
    longest = 640 if count == 1 else 400 if count <= 6 else 260
    scale = longest / max(height, width)
    return max(48, round(width * scale)), max(48, round(height * scale))


def _tile(hu: np.ndarray, lesion: np.ndarray, size: tuple[int, int], number: int) -> Image.Image:
    """One (H, W) slice and its lesion → RGB image of `size` with the slice number and the sides."""
    rgb = np.asarray(
        Image.fromarray(greys(hu)).resize(size, Image.Resampling.BILINEAR).convert("RGB"), np.float32
    ).copy()
    if lesion.any():
        cover = np.asarray(Image.fromarray(lesion.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
        paint(rgb, cover >= min(128, int(cover.max())), fill=_FILL)  # a lesion smaller than a pixel is still shown
    image = Image.fromarray(rgb.astype(np.uint8))
    draw, small = ImageDraw.Draw(image), font(13)
    draw.text((5, 4), f"slice {number}", LINE_RGB if lesion.any() else FAINT_RGB, small)
    draw.text((5, image.height - 5), "R", TEXT_RGB, small, anchor="ls")
    draw.text((image.width - 5, image.height - 5), "L", TEXT_RGB, small, anchor="rs")
    return image


def _header(volume: Volume, measurement: Measurement, model_version: str) -> list[str]:
    """The lines above the slices, most important first."""
    volume_ml = f"{measurement.volume_ml:.1f} mL" + ("" if volume.spacing_known else " (pixel size unknown)")
    model = f"model {model_version}  |  " if model_version else ""
    low, high = DISPLAY_HU
    return [
        f"{volume.case_id[:60]}  |  {LABEL_NAME} {volume_ml}  |  {lesions_in_words(len(measurement.lesions))}",
        f"{model}display {low:g} to {high:g} HU  |  slices counted from 0",
        RESEARCH_NOTICE,
    ]


def _columns(count: int, tile_aspect: float) -> int:
    """How many tiles in a row: about half as wide again as high, and of the choices the one with the fullest rows."""
    ideal = math.sqrt(1.5 * count * tile_aspect)
    choices = range(max(1, math.floor(ideal) - 1), min(count, math.ceil(ideal) + 1) + 1)
    return min(choices, key=lambda columns: -count % columns + 2 * abs(columns - ideal))


def _page(tiles: list[Image.Image], header: list[str]) -> Image.Image:
    """Tiles in rows under the header, on black."""
    fonts = [font(size) for size in (20, 13, 13)]
    width, height = tiles[0].size
    columns = _columns(len(tiles), height / width)
    rows = math.ceil(len(tiles) / columns)
    text_width = max(math.ceil(one.getlength(line)) for one, line in zip(fonts, header, strict=True))
    inner = max(columns * (width + _GAP) - _GAP, text_width, _SMALLEST_WIDTH)
    top = _MARGIN + 26 + 19 + 19 + 6
    page = Image.new("RGB", (inner + 2 * _MARGIN, top + rows * (height + _GAP) - _GAP + _MARGIN))
    draw = ImageDraw.Draw(page)
    colours = (TEXT_RGB, FAINT_RGB, LINE_RGB)
    for line, one, colour, y in zip(header, fonts, colours, (0, 26, 45), strict=True):
        draw.text((_MARGIN, _MARGIN + y), line, colour, one)
    left = _MARGIN + (inner - columns * (width + _GAP) + _GAP) // 2
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        page.paste(tile, (left + column * (width + _GAP), top + row * (height + _GAP)))
    return page
