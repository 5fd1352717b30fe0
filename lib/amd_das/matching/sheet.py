"""A picture to judge a matching by: MRIs with their lesions, each beside the CTs it is most alike to."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from amd_das.conventions import LINE_RGB, RESEARCH_NOTICE
from amd_das.files import write_whole
from amd_das.matching.pairs import Matches
from amd_das.slices import SliceStore, bright_pixels
from amd_das.slices.crop import crop_to_brains

_TEXT_RGB, _FAINT_RGB = (235, 235, 235), (150, 150, 150)
_MARGIN, _GAP, _MRI_GAP, _LINE = 14, 6, 28, 17  # pixels; the MRI stands a little apart from its CTs
_SCALE = 1.25
_SMALLEST_TILE = 236  # pixels wide, so that the numbers below fit


def write_sheet(
    source: SliceStore, target: SliceStore, matches: Matches, path: Path, *, rows: int = 6, columns: int = 4
) -> Path:
    """Write :func:`render_sheet` as PNG; the file appears complete or not at all. Returns ``path``."""
    buffer = io.BytesIO()
    render_sheet(source, target, matches, rows=rows, columns=columns).save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())


def render_sheet(
    source: SliceStore, target: SliceStore, matches: Matches, *, rows: int = 6, columns: int = 4
) -> Image.Image:
    """Draw the pairs: a row per MRI, from the best matched to the worst, so that both ends are seen.

    The outline is the label in an MRI, and in a CT what was counted as lesion. Slices are shown as networks see them,
    cropped to the brains on the sheet.

    Args:
        source: labelled MRIs; those with a lesion are shown, if there are any.
        target: CTs.
        matches: of these two stores.
        rows: MRIs shown, at most.
        columns: CTs shown beside each, at most.

    Raises:
        ConfigError: the matches are of other stores.
    """
    matches.check(source, target)
    shown = choose_rows(matches.distance[:, 0], source.lesion_px > 0, rows)
    nearest = matches.nearest_ct[shown, :columns]
    crop = crop_to_brains([source.images[i] for i in shown] + [target.images[j] for j in np.unique(nearest)])
    pictures = []
    for i, candidates, distances in zip(shown, nearest, matches.distance[shown], strict=True):
        label = source.labels[i] > 0 if source.labels is not None else np.zeros_like(source.images[i], bool)
        size = int(source.lesion_px[i])
        row = [_tile(source.images[i], label, crop, [_name(source, i), f"lesion {size:,} px"])]
        for j, distance in zip(candidates, distances, strict=False):
            (bright,) = bright_pixels(target.images[j : j + 1], matches.config.lesion_threshold)
            numbers = _distances(matches, distance, abs(size - int(bright.sum())))
            row.append(_tile(target.images[j], bright, crop, [_name(target, j), numbers]))
        pictures.append(row)
    return _page(pictures, _header(matches, len(shown)))


def choose_rows(distance: np.ndarray, lesion: np.ndarray, most: int) -> list[int]:
    """Which MRIs to show: best matched, worst matched and an even spread between, the best first.

    Args:
        distance: (N,) to the most alike CT.
        lesion: (N,) bool; only these are shown unless there are none.
        most: how many at most.
    """
    eligible = np.flatnonzero(lesion) if lesion.any() else np.arange(len(distance))
    ranked = eligible[np.argsort(distance[eligible], kind="stable")]
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked)))
    return ranked[places.round().astype(int)].tolist()


def _distances(matches: Matches, d_sim: int, d_les: int) -> str:
    """The distance and its two parts; the Hamming distance follows from the others."""
    weight = matches.config.hamming_weight
    d_ham = (int(d_sim) - d_les) // weight if weight else "-"
    return f"d_ham {d_ham}   d_les {d_les:,}   d_sim {int(d_sim):,}"


def _name(store: SliceStore, place: int) -> str:
    """Case and slice number."""
    owner = int(store.case_index[place])
    case = store.cases[owner]
    number = case.numbers[place - int(np.searchsorted(store.case_index, owner))]
    name = case.case if len(case.case) <= 18 else f"{case.case[:8]}…{case.case[-9:]}"
    return f"{name}, slice {number}"


def _header(matches: Matches, shown: int) -> list[str]:
    """The lines above the pairs, most important first."""
    sources, targets = len(matches.nearest_ct), len(matches.nearest_mri)
    return [
        f"{sources:,} MRI slices matched with {targets:,} CT slices  |  "
        f"{len(matches.matched_source):,} MRI slices are nearest to a CT",
        f"Left: {shown} MRI slices, from the best matched to the worst, with their label.  Right: the CT slices most "
        f"alike; outlined is what is above {matches.config.lesion_threshold} of 255.",
        f"Below each CT: d_sim = {matches.config.hamming_weight} · d_ham + d_les, smaller is more alike.  d_ham: bits "
        "of 64 that differ.  d_les: difference of the outlined areas in pixels.",
        RESEARCH_NOTICE,
    ]


def _tile(image: np.ndarray, lesion: np.ndarray, crop: tuple[slice, slice], text: list[str]) -> Image.Image:
    """One (H, W) uint8 slice with the outline of its (H, W) bool lesion, and two lines below."""
    grey, region = Image.fromarray(image[crop]), Image.fromarray(lesion[crop].astype(np.uint8) * 255)
    size = (round(grey.width * _SCALE), round(grey.height * _SCALE))
    rgb = np.array(grey.resize(size, Image.Resampling.BICUBIC).convert("RGB"))
    inside = np.asarray(region.resize(size, Image.Resampling.BILINEAR)) >= 128
    rgb[ndimage.binary_dilation(inside) & ~inside] = LINE_RGB
    width = max(size[0], _SMALLEST_TILE)
    tile = Image.new("RGB", (width, size[1] + len(text) * _LINE + 4))
    tile.paste(Image.fromarray(rgb), ((width - size[0]) // 2, 0))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(13)
    for place, (line, colour) in enumerate(zip(text, (_FAINT_RGB, _TEXT_RGB), strict=True)):
        draw.text((width // 2, size[1] + 2 + place * _LINE), line, colour, font, anchor="mt")
    return tile


def _page(rows: list[list[Image.Image]], header: list[str]) -> Image.Image:
    """Rows of tiles under the header, on black."""
    fonts = [ImageFont.load_default(size) for size in (20, 13, 13, 13)]
    width, height = rows[0][0].size
    text_width = max(int(font.getlength(line)) for font, line in zip(fonts, header, strict=True))
    tiles_width = len(rows[0]) * (width + _GAP) - _GAP + _MRI_GAP
    top = _MARGIN + 28 + 3 * _LINE + 12
    page = Image.new(
        "RGB", (max(tiles_width, text_width) + 2 * _MARGIN, top + len(rows) * (height + 2 * _GAP) + _MARGIN)
    )
    draw = ImageDraw.Draw(page)
    colours = (_TEXT_RGB, _FAINT_RGB, _FAINT_RGB, LINE_RGB)
    for place, (line, font, colour) in enumerate(zip(header, fonts, colours, strict=True)):
        draw.text((_MARGIN, _MARGIN + (28 + (place - 1) * _LINE if place else 0)), line, colour, font)
    left = (page.width - tiles_width) // 2
    for down, tiles in enumerate(rows):
        for along, tile in enumerate(tiles):
            x = left + along * (width + _GAP) + (_MRI_GAP if along else 0)
            page.paste(tile, (x, top + down * (height + 2 * _GAP)))
    return page
