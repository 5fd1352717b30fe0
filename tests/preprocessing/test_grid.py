from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from helpers.ellipsoid_head import dice
from scipy import ndimage

from amd_das.errors import GeometryError
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

CENTRE = np.array([12.0, -7.0, 5.0])


def volume_of(shape: tuple[int, int, int], linear: np.ndarray) -> Volume:
    """Zeros whose middle lies at RAS CENTRE."""
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = CENTRE - linear @ ((np.array(shape) - 1) / 2)
    return Volume(array=np.zeros(shape, np.float32), affine=affine, case_id="ball")


def ras_of(volume: Volume) -> np.ndarray:
    """(I, J, K, 3) mm of every voxel."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    return index @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def rotation(degrees: float, axis: int) -> np.ndarray:
    first, second = [a for a in range(3) if a != axis]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    matrix[[first, first, second, second], [first, second, first, second]] = cos, -sin, sin, cos
    return matrix


TILT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.35], [0.0, 0.0, 1.0]])
SKEW = np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
GRIDS: dict[str, tuple[tuple[int, int, int], np.ndarray]] = {
    "half a millimetre": ((200, 200, 24), np.diag([0.5, 0.5, 4.0])),
    "coarse pixels": ((60, 50, 20), np.diag([2.0, 2.5, 5.0])),
    "unequal pixels": ((150, 70, 20), np.diag([0.7, 1.6, 5.0])),
    "thin slices": ((90, 90, 140), np.diag([1.0, 1.0, 0.7])),
    "coronal": ((90, 30, 90), np.diag([-1.1, 3.0, 1.1])),
    "sagittal": ((30, 90, 90), np.diag([3.0, 1.1, -1.1])),
    "gantry tilt": ((110, 120, 22), TILT @ np.diag([-1.0, -1.0, 4.0])),
    "skewed pixels": ((110, 110, 22), SKEW @ np.diag([1.0, 1.0, 4.0])),
    "oblique": ((110, 110, 30), rotation(18, 0) @ rotation(-12, 1) @ rotation(25, 2) @ np.diag([-0.9, 1.0, 3.5])),
    "oblique and coronal": ((100, 36, 100), rotation(20, 0) @ rotation(10, 2) @ np.diag([1.0, 3.0, -1.0])),
    **{
        f"axes {axes} signs {signs}": ((80, 84, 88), np.eye(3)[:, axes] * np.array(signs))
        for axes, signs in product(permutations(range(3)), [(1, 1, 1), (-1, 1, -1)])
    },
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_ball_goes_there_and_back(name: str) -> None:
    volume = volume_of(*GRIDS[name])
    position = CENTRE + np.array([6.0, 4.0, -3.0])
    ball = np.linalg.norm(ras_of(volume) - position, axis=-1) < 20
    grid = AxialGrid.of(volume)
    slices = grid.forward(ball)
    assert slices.shape == (grid.slices, 240, 240)
    assert slices.sum() * grid.slice_mm / 1000 == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.06)
    middle = grid.affine @ [*ndimage.center_of_mass(slices), 1.0]
    assert middle[:3] == pytest.approx(position, abs=0.5)
    back = grid.backward(slices)
    assert back.shape == volume.shape
    assert back.dtype == np.float32
    assert dice(back >= 0.5, ball) > 0.95
    assert ras_of(volume)[back >= 0.5].mean(axis=0) == pytest.approx(position, abs=0.5)


@pytest.mark.parametrize("name", GRIDS)
def test_rows_run_back_columns_to_the_left_and_slices_up(name: str) -> None:
    grid = AxialGrid.of(volume_of(*GRIDS[name]))
    up, back, left = grid.affine[:3, :3].T
    assert np.argmax(np.abs(up)) == 2 and up[2] > 0
    assert np.argmax(np.abs(back)) == 1 and back[1] < 0
    assert np.argmax(np.abs(left)) == 0 and left[0] < 0
    assert np.linalg.norm([back, left], axis=1) == pytest.approx([1.0, 1.0])
    assert back @ left == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["half a millimetre", "oblique", "gantry tilt"])
def test_the_middle_of_the_mask_comes_to_the_middle_of_the_slices(name: str) -> None:
    volume = volume_of(*GRIDS[name])
    ball = np.linalg.norm(ras_of(volume) - CENTRE - [10.0, -8.0, 0.0], axis=-1) < 15
    grid = AxialGrid.of(volume)
    centred = grid.centred_on(grid.axial(ball))
    _, rows, columns = np.nonzero(centred.forward(ball) >= 0.5)
    assert [rows.min() + rows.max(), columns.min() + columns.max()] == pytest.approx([239, 239], abs=2.5)


def test_labels_stay_labels_with_the_nearest_pixel() -> None:
    volume = volume_of((120, 120, 3), np.diag([0.7, 0.7, 5.0]))
    labels = np.random.default_rng(0).integers(0, 3, volume.shape)
    assert set(np.unique(AxialGrid.of(volume).forward(labels, order=0))) == {0.0, 1.0, 2.0}


def test_fine_pixels_are_averaged_not_skipped() -> None:
    volume = volume_of((480, 480, 1), np.diag([0.25, 0.25, 5.0]))
    noise = np.random.default_rng(0).normal(0.0, 1.0, volume.shape)
    inner = AxialGrid.of(volume).forward(noise)[0, 80:160, 80:160]
    assert inner.std() < 0.35


def test_thin_slices_are_averaged_to_slabs_and_come_back() -> None:
    volume = volume_of((90, 90, 101), np.diag([1.0, 1.0, 0.7]))
    ball = np.linalg.norm(ras_of(volume) - CENTRE, axis=-1) < 20
    grid = AxialGrid.of(volume, slab_mm=3.0)
    assert (grid.slab, grid.slices) == (4, 26)
    assert grid.slice_mm == pytest.approx(2.8)
    slices = grid.forward(ball)
    assert (grid.affine @ [*ndimage.center_of_mass(slices), 1.0])[:3] == pytest.approx(CENTRE, abs=0.3)
    assert dice(grid.backward(slices) >= 0.5, ball) > 0.95


@pytest.mark.parametrize(("distance", "slab"), [(0.6, 5), (1.0, 3), (1.5, 2), (2.0, 1), (5.0, 1)])
def test_slabs_are_not_thicker_than_asked(distance: float, slab: int) -> None:
    assert AxialGrid.of(volume_of((8, 8, 8), np.diag([1.0, 1.0, distance])), slab_mm=3.0).slab == slab


def test_voxels_outside_the_slices_are_zero_on_the_way_back() -> None:
    volume = volume_of((300, 300, 2), np.diag([1.0, 1.0, 5.0]))
    back = AxialGrid.of(volume).backward(np.ones((2, 240, 240), np.float32))
    assert back[:28].max() == 0.0
    assert back[40:260, 40:260].min() == pytest.approx(1.0)


def test_an_unknown_pixel_size_scales_the_field_of_view() -> None:
    volume = replace(volume_of((650, 500, 1), np.eye(3)), spacing_known=False)
    grid = AxialGrid.of(volume)
    assert not grid.spacing_known
    assert grid.spacing_mm == pytest.approx((5.0, 240 / 650, 240 / 650))
    covered = grid.forward(np.ones(volume.shape))[0] > 0.5
    assert (covered.any(axis=0).sum(), covered.any(axis=1).sum()) == pytest.approx((240, 500 / 650 * 240), abs=1)


def test_a_single_slice_without_geometry_is_axial_whatever_its_axis() -> None:
    volume = replace(volume_of((1, 60, 50), np.eye(3)), spacing_known=False)
    assert AxialGrid.of(volume).axial_shape[0] == 1


@pytest.mark.parametrize(("shape", "plane"), [((60, 1, 50), "coronal"), ((1, 60, 50), "sagittal")])
def test_a_single_slice_that_is_not_axial_is_refused(shape: tuple[int, int, int], plane: str) -> None:
    with pytest.raises(GeometryError, match=f"the only slice is {plane}"):
        AxialGrid.of(volume_of(shape, np.eye(3)))


@pytest.mark.parametrize("linear", [np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan)])
def test_a_singular_affine_is_refused(linear: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="does not span three directions"):
        AxialGrid.of(volume_of((4, 4, 4), linear))


def test_arrays_of_another_shape_are_refused() -> None:
    grid = AxialGrid.of(volume_of((4, 5, 6), np.eye(3)))
    with pytest.raises(GeometryError, match=r"expected an array of shape \(4, 5, 6\)"):
        grid.forward(np.zeros((6, 5, 4)))
    with pytest.raises(GeometryError, match=r"expected slices of shape \(6, 240, 240\)"):
        grid.backward(np.zeros((5, 240, 240)))


@pytest.mark.parametrize("slab_mm", [0.0, 9.0])
def test_a_voxel_lies_where_it_is_resampled_to(slab_mm: float) -> None:
    """On a flipped, turned and sheared grid, and in mm as the affine has it."""
    affine = np.array([[-0.9, 0.2, 0.0, 40.0], [0.2, 0.9, 1.5, -60.0], [0.0, 0.0, -4.0, 30.0], [0, 0, 0, 1.0]])
    volume = Volume(array=np.zeros((90, 110, 14), np.float32), affine=affine, case_id="grid")
    grid = AxialGrid.of(volume, slab_mm)
    voxels = np.array([[40, 60, 3], [20, 30, 9]])
    for voxel in voxels:
        spot = np.zeros(volume.shape, np.float32)
        spot[voxel[0] - 2 : voxel[0] + 3, voxel[1] - 2 : voxel[1] + 3, voxel[2]] = 1
        centre = np.average(np.argwhere(np.ones(grid.forward(spot).shape)), axis=0, weights=grid.forward(spot).ravel())
        np.testing.assert_allclose(grid.slice_index(voxel[None])[0], centre, atol=0.75 if slab_mm else 0.05)
    apart = grid.position_mm(voxels)
    expected = np.linalg.norm(affine[:3, :3] @ (voxels[0] - voxels[1]))
    assert np.linalg.norm(apart[0] - apart[1]) == pytest.approx(expected)
