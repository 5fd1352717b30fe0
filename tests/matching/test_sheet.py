"""The sheet of pairs: which it shows, that it outlines lesions, and the numbers below."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.slice_stores import write_store
from PIL import Image

from amd_das.conventions import LINE_RGB
from amd_das.errors import ConfigError
from amd_das.matching import Matches, match, sheet
from amd_das.matching.sheet import choose_rows, render_sheet, write_sheet
from amd_das.slices import SliceStore


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[SliceStore, SliceStore]:
    return (
        write_store(tmp_path_factory.mktemp("source"), "source", count=6, seed=0, labelled=True, case="mri"),
        write_store(tmp_path_factory.mktemp("target"), "target", count=5, seed=1, labelled=False, case="ct"),
    )


@pytest.fixture(scope="module")
def matches(stores: tuple[SliceStore, SliceStore]) -> Matches:
    return match(*stores)


def test_rows_go_from_best_to_worst() -> None:
    distance = np.array([50, 10, 40, 30, 20, 0])
    lesion = np.array([True, True, True, True, True, False])
    assert choose_rows(distance, lesion, 3) == [1, 3, 0]
    assert choose_rows(distance, lesion, 10) == [1, 4, 3, 2, 0]
    assert choose_rows(distance, lesion, 1) == [1]


def test_without_a_lesion_any_may_be_shown() -> None:
    assert choose_rows(np.array([5, 3]), np.zeros(2, bool), 5) == [1, 0]


def captions(
    stores: tuple[SliceStore, SliceStore], matches: Matches, monkeypatch: pytest.MonkeyPatch, **size: int
) -> list[list[str]]:
    """What is written below each tile, in the order of drawing."""
    written: list[list[str]] = []
    draw = sheet._tile
    monkeypatch.setattr(sheet, "_tile", lambda *given: (written.append(given[3]), draw(*given))[1])
    render_sheet(*stores, matches, **size)
    return written


def test_each_tile_says_what_it_is(
    stores: tuple[SliceStore, SliceStore], matches: Matches, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    best = int(matches.distance[:, 0].argmin())
    mri, *cts = captions(stores, matches, monkeypatch, rows=1, columns=3)
    assert mri == [f"mri, slice {10 + best}", f"lesion {source.lesion_px[best]:,} px"]
    assert [name for name, _ in cts] == [f"ct, slice {10 + j}" for j in matches.nearest_ct[best, :3]]
    for place, (_, numbers) in enumerate(cts):
        words = numbers.replace(",", "").split()
        assert words[::2] == ["d_ham", "d_les", "d_sim"]
        d_ham, d_les, d_sim = map(int, words[1::2])
        assert d_les == abs(source.lesion_px[best] - target.lesion_px[matches.nearest_ct[best, place]])
        assert d_sim == matches.distance[best, place] == 100 * d_ham + d_les


def test_more_is_not_shown_than_there_is(
    stores: tuple[SliceStore, SliceStore], matches: Matches, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = int((stores[0].lesion_px > 0).sum())
    assert len(captions(stores, matches, monkeypatch, rows=50, columns=50)) == shown * (1 + 5)


def test_a_long_name_is_shortened_and_numbers_follow_their_case(tmp_path: Path) -> None:
    write_store(tmp_path, "target", count=3, seed=0, labelled=False, case="a")
    store = write_store(tmp_path, "target", count=2, seed=1, labelled=False, case="1.2.840.113619.2.55.3.604")
    assert [sheet._name(store, place) for place in (2, 3, 4)] == [
        "a, slice 12",
        "1.2.840.….55.3.604, slice 10",
        "1.2.840.….55.3.604, slice 11",
    ]


def test_the_lesion_is_outlined_where_it_is() -> None:
    image, lesion = np.full((240, 240), 90, np.uint8), np.zeros((240, 240), bool)
    lesion[50:70, 150:190] = True
    tile = np.asarray(sheet._tile(image, lesion, (slice(0, 240), slice(0, 240)), ["", ""]))
    rows, columns = np.nonzero((tile == LINE_RGB).all(axis=-1))
    assert (rows.min(), rows.max()) == pytest.approx((50 * 1.25, 70 * 1.25), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((150 * 1.25, 190 * 1.25), abs=2)
    assert (tile[75, 210] == 90).all()


def test_the_file_is_the_same_every_time(
    stores: tuple[SliceStore, SliceStore], matches: Matches, tmp_path: Path
) -> None:
    first = write_sheet(*stores, matches, tmp_path / "pairs.png", rows=2)
    again = write_sheet(*stores, matches, tmp_path / "again.png", rows=2)
    assert first.read_bytes() == again.read_bytes()
    image = Image.open(first)
    assert image.mode == "RGB"
    assert image.width > 800


def test_a_sheet_of_other_stores_is_refused(stores: tuple[SliceStore, SliceStore], matches: Matches) -> None:
    with pytest.raises(ConfigError, match="of other source slices"):
        render_sheet(*stores, replace(matches, source_digest="another"))
