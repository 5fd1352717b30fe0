"""Where a prediction and its reference differ most, drawn on the CT."""

import base64
import io
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from amd_das.errors import GeometryError
from amd_das.evaluation.cases import EvaluationCase
from amd_das.evaluation.masks import read_masks
from amd_das.output.drawing import FAINT_RGB, REFERENCE_RGB, TEXT_RGB, font, greys, paint
from amd_das.output.overlay import head_crop
from amd_das.preprocessing.grid import AxialGrid
from amd_das.reading import read_volume
from amd_das.volume import Volume

SLICES: Final = 5
"""Shown of a case at most, those with most pixels in one mask alone."""

_TILE_PX: Final = 260  # height of a slice
_GAP: Final = 3
_SAME_PLACE: Final = 0.1  # of a voxel's shortest edge


def case_pictures(case: EvaluationCase) -> dict[str, Image.Image]:
    """Model → the slices in which it differs most from the reference, side by side, both outlined.

    The slices are the same for all models.

    Raises:
        InputError: the image or a mask cannot be read.
        GeometryError: the image lies on another grid than the masks.
    """
    assert case.image is not None
    ref, preds = read_masks(case.ref, dict(case.preds))
    image = read_volume(case.image)
    if image.shape != ref.shape or image.apart_mm(ref) > _SAME_PLACE * ref.spacing.min():
        raise GeometryError(
            f"the image of {case.case} has shape {image.shape}, its masks {ref.shape}, or it lies elsewhere; expected "
            "the same grid. Give the images that the masks were drawn on."
        )
    return draw(image, ref.array > 0, preds)


def draw(image: Volume, ref: np.ndarray, preds: Mapping[str, np.ndarray]) -> dict[str, Image.Image]:
    """See :func:`case_pictures`.

    Args:
        image: (I, J, K) HU.
        ref: (I, J, K) bool.
        preds: model → (I, J, K) bool.
    """
    grid = AxialGrid.of(image)
    hu, truth = grid.axial(image.array), grid.axial(ref)
    said = {model: grid.axial(pred) for model, pred in preds.items()}
    chosen = _where_apart(truth, said)
    rows, columns = head_crop(hu, grid.spacing_mm)
    height, width = (
        (part.stop - part.start) * mm for part, mm in zip((rows, columns), grid.spacing_mm[1:], strict=True)
    )
    size = max(48, round(_TILE_PX * width / height)), _TILE_PX
    numbers = np.arange(len(hu))[:: -1 if grid.flips[0] else 1]
    return {
        model: _strip(
            [
                _tile(hu[z, rows, columns], truth[z, rows, columns], pred[z, rows, columns], size, int(numbers[z]))
                for z in chosen
            ]
        )
        for model, pred in said.items()
    }


def data_uri(picture: Image.Image) -> str:
    """JPEG to be written into a page."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _where_apart(truth: np.ndarray, said: Mapping[str, np.ndarray]) -> list[int]:
    """Slices of (Z, H, W) masks with most disagreement, ascending."""
    apart = sum((np.count_nonzero(truth ^ pred, axis=(1, 2)) for pred in said.values()), np.zeros(len(truth), int))
    worst = np.argsort(-apart, kind="stable")[:SLICES]
    shown = worst[apart[worst] > 0] if apart.any() else worst[:1]
    return sorted(shown.tolist())


def _tile(hu: np.ndarray, truth: np.ndarray, pred: np.ndarray, size: tuple[int, int], number: int) -> Image.Image:
    grey = Image.fromarray(greys(hu)).resize(size, Image.Resampling.BILINEAR)
    rgb = np.asarray(grey.convert("RGB"), np.float32).copy()
    for region, colour in ((truth, REFERENCE_RGB), (pred, None)):
        if region.any():
            cover = np.asarray(Image.fromarray(region.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
            seen = cover >= min(128, int(cover.max()))  # a lesion smaller than a pixel is still shown
            paint(rgb, seen) if colour is None else paint(rgb, seen, colour=colour)
    tile = Image.fromarray(rgb.astype(np.uint8))
    pen, small = ImageDraw.Draw(tile), font(12)
    pen.text((4, 3), f"slice {number}", TEXT_RGB, small)
    pen.text((4, tile.height - 4), "R", FAINT_RGB, small, anchor="ls")
    pen.text((tile.width - 4, tile.height - 4), "L", FAINT_RGB, small, anchor="rs")
    return tile


def _strip(tiles: list[Image.Image]) -> Image.Image:
    width, height = tiles[0].size
    strip = Image.new("RGB", (len(tiles) * (width + _GAP) - _GAP, height))
    for place, tile in enumerate(tiles):
        strip.paste(tile, (place * (width + _GAP), 0))
    return strip
