"""The map of the ventricles: learnt from slices alone, laid over any brain, and what lies there."""

from pathlib import Path

import numpy as np
import pytest
from helpers.disc_slices import disc_slices, disc_store

from amd_das.segmentation.painting import BleedConfig, VentricleMap, add_bleeds
from amd_das.segmentation.painting.canvas import blank
from amd_das.segmentation.painting.ventricles import ventricles
from amd_das.slices import CaseSlices, SliceStore, SliceWriter

ROWS, COLUMNS = np.ogrid[:240, :240]
VENTRICLE = (slice(95, 145), slice(106, 116))
"""Right of the middle of the brain, which lies about (120, 120)."""


def with_ventricles(directory: Path, count: int = 4) -> SliceStore:
    """Slices that show one ventricle, and as many that show none."""
    images, _ = disc_slices(2 * count, lesions=0.0, noise=1.0)
    images[(slice(count), *VENTRICLE)] = 15
    case = CaseSlices(
        case="one",
        patient="one",
        spacing_mm=(5.0, 1.0, 1.0),
        spacing_known=True,
        numbers=tuple(range(2 * count)),
        brain_px=tuple(np.count_nonzero(images, axis=(1, 2)).tolist()),
        lesion_px=(0,) * (2 * count),
    )
    with SliceWriter(directory, "target", labelled=False) as writer:
        writer.append(case, images, None)
    return SliceStore.open(directory)


@pytest.fixture
def usual(tmp_path: Path) -> VentricleMap:
    return VentricleMap.of(with_ventricles(tmp_path / "with"))


def brain(height: float = 85.0, width: float = 65.0, column: int = 120) -> np.ndarray:
    return (ROWS - 120) ** 2 / height**2 + (COLUMNS - column) ** 2 / width**2 < 1


def test_it_is_where_the_slices_that_show_ventricles_have_them(usual: VentricleMap) -> None:
    there = usual.usual(brain())
    assert there[VENTRICLE].mean() > 0.95
    wide = np.zeros_like(there)
    wide[88:152, 99:142] = True
    assert not (there & ~wide).any(), "on both sides of the middle, and nowhere else"
    assert np.array_equal(usual.often, usual.often[:, ::-1])
    assert usual.often.max() > 0.9, "slices without a ventricle do not count"


def test_it_fits_a_brain_of_another_size_and_place(usual: VentricleMap) -> None:
    there = usual.usual(brain(60.0, 45.0, column=150))
    rows, columns = np.argwhere(there).T
    assert abs(rows.mean() - 120) < 2
    assert abs(columns.mean() - 150) < 2
    assert 0.35 < there.sum() / usual.usual(brain()).sum() < 0.65, "as much smaller as the brain is"


def test_slices_without_ventricles_give_an_empty_map(tmp_path: Path) -> None:
    usual = VentricleMap.of(disc_store(tmp_path / "none", "target", noise=1.0))
    assert not usual.often.any()
    assert not usual.usual(brain()).any()


def test_the_ventricles_of_a_slice_are_what_is_dark_and_deep() -> None:
    image = np.where(brain(), 80, 0).astype(np.uint8)
    image[VENTRICLE] = image[40:44, 100:140] = 12  # and a sulcus
    canvas = blank(image, np.random.default_rng(0))
    assert canvas is not None
    found = ventricles(canvas)
    assert found[VENTRICLE].mean() > 0.6
    assert not found[:60].any()


@pytest.mark.parametrize(
    ("place", "explained"),
    [
        (VENTRICLE, True),
        ((slice(95, 145), slice(106, 180)), False),  # a large bleed that reaches into it
        ((slice(95, 145), slice(150, 165)), False),
        ((slice(110, 114), slice(110, 114)), False),  # too small to tell
    ],
)
def test_a_lesion_that_lies_mostly_there_is_explained(
    usual: VentricleMap, place: tuple[slice, slice], explained: bool
) -> None:
    lesion = np.zeros((240, 240), bool)
    lesion[place] = True
    image = np.where(brain(), 80, 0).astype(np.uint8)
    assert usual.explains(image, lesion) == explained
    lesion[30:50, 110:130] = True
    assert usual.explains(image, lesion) == explained, "each lesion by itself"


def test_where_there_is_no_brain_nothing_is_explained(usual: VentricleMap) -> None:
    empty = np.zeros((240, 240), np.uint8)
    assert not usual.explains(empty, empty > 0)


def test_few_bleeds_are_painted_there(usual: VentricleMap) -> None:
    images, labels = disc_slices(16, lesions=0.0)
    there = usual.usual(brain())

    def part(among: float) -> float:
        config = BleedConfig(chance=1.0, contusion=0.0, among_ventricles=among)
        lesions = [add_bleeds(images, labels, config, np.random.default_rng(seed), usual)[1] for seed in range(6)]
        return float((np.concatenate(lesions).astype(bool) & there).sum() / np.sum(lesions))

    free, apart = part(1.0), part(0.1)
    assert part(0.0) == 0
    assert free > 0.08, "bleeds lie anywhere deep in the brain otherwise"
    assert 0 < apart < 0.4 * free, "some still do, as thalamic bleeds may"
