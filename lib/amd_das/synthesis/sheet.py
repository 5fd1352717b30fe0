"""A picture to judge a translation by: MRIs with their lesions, and below each the pseudo-CT made of it."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from amd_das.conventions import LINE_RGB, RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.files import write_whole
from amd_das.slices import SliceStore
from amd_das.slices.crop import crop_to_brains

_TEXT_RGB: Final = (235, 235, 235)
_MARGIN, _GAP, _LINE, _LEFT = 12, 6, 20, 88  # pixels


def write_translation_sheet(source: SliceStore, pseudo: SliceStore, path: Path, *, columns: int = 6) -> Path:
    """Write :func:`render_translation_sheet` as PNG; appears complete or not at all. Returns ``path``."""
    buffer = io.BytesIO()
    render_translation_sheet(source, pseudo, columns=columns).save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())


def render_translation_sheet(source: SliceStore, pseudo: SliceStore, *, columns: int = 6) -> Image.Image:
    """Draw it: of each case the slice with the largest lesion, cases evenly spread by the size of it.

    Args:
        source: the MRIs.
        pseudo: what was made of them, see :func:`amd_das.synthesis.translate.translate`.
        columns: slices shown, at most.

    Raises:
        ConfigError: the pseudo-CT is of another source, or empty.
    """
    if pseudo.config.get("source") != source.digest():
        raise ConfigError(f"{pseudo.directory} was not made from {source.directory}")
    if not len(pseudo):
        raise ConfigError(f"{pseudo.directory} holds no slices yet")
    shown = choose_columns(pseudo.case_index, pseudo.lesion_px, columns)
    pairs = [(_in_source(source, pseudo, place), place) for place in shown]
    crop = crop_to_brains([source.images[mri] for mri, _ in pairs] + [pseudo.images[ct] for _, ct in pairs])
    tiles = [
        [_tile(source.images[mri], _label(source, mri), crop) for mri, _ in pairs],
        [_tile(pseudo.images[ct], _label(pseudo, ct), crop) for _, ct in pairs],
    ]
    return _page(tiles, len(pseudo))


def choose_columns(case_index: np.ndarray, lesion_px: np.ndarray, most: int) -> list[int]:
    """Which slices to show: one of each case, its largest lesion, from the largest to the smallest.

    Args:
        case_index: (N,) the slice's case.
        lesion_px: (N,) pixels of lesion.
        most: how many at most.
    """
    best = [int(rows[lesion_px[rows].argmax()]) for case in np.unique(case_index)
            for rows in [np.flatnonzero(case_index == case)]]  # fmt: skip
    ranked = sorted(best, key=lambda place: -int(lesion_px[place]))
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked)))
    return [ranked[place] for place in places.round().astype(int)]


def _in_source(source: SliceStore, pseudo: SliceStore, place: int) -> int:
    """The MRI slice that a pseudo-CT slice was made of."""
    owner = int(pseudo.case_index[place])
    case = pseudo.cases[owner]
    wanted = case.numbers[place - int(np.searchsorted(pseudo.case_index, owner))]
    theirs = next(number for number, one in enumerate(source.cases) if one.case == case.case)
    return int(np.searchsorted(source.case_index, theirs)) + source.cases[theirs].numbers.index(wanted)


def _label(store: SliceStore, place: int) -> np.ndarray:
    return store.labels[place] > 0 if store.labels is not None else np.zeros_like(store.images[place], bool)


def _tile(image: np.ndarray, lesion: np.ndarray, crop: tuple[slice, slice]) -> Image.Image:
    rgb = np.repeat(image[crop][..., None], 3, axis=-1)
    inside = lesion[crop]
    rgb[ndimage.binary_dilation(inside) & ~inside] = LINE_RGB
    return Image.fromarray(rgb)


def _page(tiles: list[list[Image.Image]], slices: int) -> Image.Image:
    width, height = tiles[0][0].size
    small, large = ImageFont.load_default(13), ImageFont.load_default(15)
    header = (f"{slices:,} pseudo-CT slices; the outline is the MRI's label", RESEARCH_NOTICE)
    inner = max(_LEFT + len(tiles[0]) * (width + _GAP), *(int(small.getlength(line)) for line in header))
    top = _MARGIN + len(header) * _LINE
    page = Image.new("RGB", (inner + 2 * _MARGIN, top + len(tiles) * (height + _GAP) + _MARGIN))
    draw = ImageDraw.Draw(page)
    for place, (line, colour) in enumerate(zip(header, (_TEXT_RGB, LINE_RGB), strict=True)):
        draw.text((_MARGIN, _MARGIN + place * _LINE), line, colour, small)
    for row, (name, pictures) in enumerate(zip(("MRI", "pseudo-CT"), tiles, strict=True)):
        y = top + row * (height + _GAP)
        draw.text((_MARGIN, y + height // 2), name, _TEXT_RGB, large, anchor="lm")
        for column, picture in enumerate(pictures):
            page.paste(picture, (_MARGIN + _LEFT + column * (width + _GAP), y))
    return page
