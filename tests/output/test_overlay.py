"""The montage: what it shows, where, and at which size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amd_das.conventions import COLOUR_RGB, LINE_RGB
from amd_das.errors import GeometryError
from amd_das.measurement import measure
from amd_das.output.overlay import MAX_TILES, choose_slices, render_overlay, write_overlay
from amd_das.volume import Volume

ORIENTATIONS = {
    "RAS": np.eye(3),
    "LPS": np.diag([-1.0, -1.0, 1.0]),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "sagittal": np.eye(3)[:, [1, 2, 0]],
    "coronal": np.eye(3)[:, [0, 2, 1]],
}


def head(matrix: np.ndarray, extent_mm: tuple[int, int, int]) -> tuple[Volume, np.ndarray]:
    """A brain of 30 HU with bone around it, and a lesion on the patient's right, in front."""
    shape = tuple(int(n) for n in np.abs(np.linalg.inv(matrix)) @ np.array(extent_mm))
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -matrix @ (np.array(shape) - 1) / 2
    points = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    radius = np.hypot(points[..., 0] / 70, points[..., 1] / 90)
    array = np.where(radius < 1, np.where(radius < 0.93, 30.0, 900.0), -1000.0)
    lesion = np.hypot(points[..., 0] - 30, points[..., 1] - 40) < 12
    array[lesion] = 65.0
    volume = Volume(array=array.astype(np.float32), affine=affine, case_id="case-1")
    return volume, lesion.astype(np.uint8)


def drawn(image: Image.Image) -> np.ndarray:
    """(H, W) bool, pixels of the outline, without text: below the header and not in the top of a tile."""
    return (np.asarray(image) == LINE_RGB).all(axis=-1)


def test_the_colour_is_the_labels_at_full_brightness() -> None:
    assert max(LINE_RGB) == 255
    assert np.allclose(np.array(LINE_RGB) / 255, np.array(COLOUR_RGB) / max(COLOUR_RGB), atol=0.01)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_right_is_on_the_left_and_front_is_up(orientation: np.ndarray) -> None:
    volume, mask = head(orientation @ np.diag([2.0, 2.0, 2.0]), (200, 220, 2))
    image = render_overlay(volume, mask, measure(mask, volume))
    tile = drawn(image)[120:]
    rows, columns = np.nonzero(tile)
    brain_rows, brain_columns = np.nonzero(np.asarray(image.convert("L"))[120:] > 50)
    assert np.median(columns) < (brain_columns.min() + brain_columns.max()) / 2 - 40
    assert np.median(rows) < (brain_rows.min() + brain_rows.max()) / 2 - 40


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.5, 2.0), (2.0, 0.7)])
def test_a_round_lesion_stays_round(pixel: tuple[float, float]) -> None:
    volume, mask = head(np.diag([-pixel[0], -pixel[1], 5.0]), (200, 220, 5))
    rows, columns = np.nonzero(drawn(render_overlay(volume, mask, measure(mask, volume)))[120:])
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(1, abs=0.15)


def test_a_single_voxel_is_still_seen() -> None:
    volume, _ = head(np.diag([-0.4, -0.4, 5.0]), (220, 220, 20))
    mask = np.zeros(volume.shape, np.uint8)
    mask[200, 200, 1] = 1
    with_lesion, without = (
        drawn(render_overlay(volume, m, measure(m, volume)))[120:] for m in (mask, np.zeros_like(mask))
    )
    assert not without.any()
    assert with_lesion.any()


def test_volumes_without_a_head_or_known_spacing_are_drawn() -> None:
    volume = Volume(array=np.zeros((20, 30, 3), np.float32), affine=np.eye(4), case_id="x" * 200, spacing_known=False)
    mask = np.zeros(volume.shape, np.uint8)
    image = render_overlay(volume, mask, measure(mask, volume), model_version="2026-01-01-abcdef01")
    assert image.mode == "RGB"
    assert image.width >= 640


def test_a_mask_of_another_image_is_refused() -> None:
    volume, mask = head(np.diag([2.0, 2.0, 2.0]), (200, 220, 4))
    with pytest.raises(GeometryError, match="draw a mask on its own image"):
        render_overlay(volume, mask[:-1], measure(mask, volume))


def test_every_slice_of_a_short_scan_is_shown() -> None:
    assert choose_slices(np.zeros(MAX_TILES)) == list(range(MAX_TILES))


def test_lesion_slices_their_neighbours_and_a_spread_are_shown() -> None:
    areas = np.zeros(200)
    areas[50:55] = 10
    chosen = choose_slices(areas)
    assert len(chosen) == MAX_TILES
    assert set(range(49, 56)) <= set(chosen)
    assert chosen == sorted(chosen)
    assert chosen[0] < 15
    assert chosen[-1] > 185
    assert max(np.diff(chosen)) < 25


def test_a_long_lesion_is_thinned_but_keeps_its_largest_slice() -> None:
    areas = np.zeros(300)
    areas[100:200] = 10
    areas[137] = 11
    chosen = choose_slices(areas)
    assert len(chosen) == MAX_TILES
    assert 137 in chosen
    assert sum(100 <= z < 200 for z in chosen) >= MAX_TILES // 2
    assert chosen[0] < 90
    assert chosen[-1] > 210


def test_an_empty_scan_is_spread_evenly() -> None:
    chosen = choose_slices(np.zeros(240))
    assert len(chosen) == MAX_TILES
    assert set(np.diff(chosen)) == {10}


def test_the_file_is_a_png_and_nothing_else_is_left(tmp_path: Path) -> None:
    volume, mask = head(np.diag([4.0, 4.0, 5.0]), (200, 220, 150))
    path = write_overlay(volume, mask, measure(mask, volume), tmp_path / "case-1.png", model_version="1")
    assert list(tmp_path.iterdir()) == [path]
    with Image.open(path) as image:
        assert image.format == "PNG"
