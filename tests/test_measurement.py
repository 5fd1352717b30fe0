"""Measurements against shapes whose volume, diameters and position are known by formula."""

import numpy as np
import pytest

from amd_das.errors import GeometryError
from amd_das.measurement import MIDLINE_TOLERANCE_MM, Lesion, Midline, measure
from amd_das.volume import Volume

KOTHARI_C = 0.5 + 0.5 * (np.sqrt(0.75) - 0.5)
"""What Kothari's weights leave of an ellipsoid's height when slices are thin: area falls as 1 - (z/c)²."""


def rotation(axis: int, degrees: float) -> np.ndarray:
    """(3, 3) rotation about one of the axes x, y, z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [d for d in range(3) if d != axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def centred(matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(4, 4) affine with the given steps and the RAS origin in the middle of the grid."""
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -matrix @ (np.array(shape) - 1) / 2
    return affine


def positions(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(I, J, K, 3) RAS mm of every voxel."""
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def ellipsoid(points: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Which of the points lie inside an axis-aligned ellipsoid, mm."""
    return (((points - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) <= 1


def volume_of(array: np.ndarray, affine: np.ndarray) -> Volume:
    return Volume(array=array.astype(np.float32), affine=affine, case_id="case")


def only_lesion(mask: np.ndarray, affine: np.ndarray) -> Lesion:
    measurement = measure(mask.astype(np.uint8), volume_of(mask * 60.0, affine))
    (lesion,) = measurement.lesions
    assert measurement.volume_ml == pytest.approx(lesion.volume_ml)
    return lesion


GRIDS = {
    "thin slices": np.diag([0.5, 0.5, 1.0]),
    "scanner's usual LPS": np.diag([-0.5, -0.5, 1.0]),
    "feet first": np.diag([0.5, 0.5, -1.0]),
    "slices along the first array axis": np.diag([0.5, 0.5, 1.0])[:, [2, 0, 1]],
    "turned in plane": rotation(2, 30) @ np.diag([0.5, 0.5, 1.0]),
    "unequal pixels": np.diag([0.4, 0.8, 1.0]),
    "sheared by gantry tilt": np.array([[0.5, 0, 0], [0, 0.5, np.tan(np.radians(20))], [0, 0, 1.0]]),
}


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS.keys())
def test_an_ellipsoid_has_its_volume_diameters_and_place(matrix: np.ndarray) -> None:
    extent = np.abs(np.linalg.inv(matrix)) @ [60.0, 60.0, 44.0]
    shape = tuple(int(n) | 1 for n in extent)
    affine = centred(matrix, shape)
    mask = ellipsoid(positions(affine, shape), (4.0, -3.0, 2.0), (12.0, 20.0, 15.0))
    lesion = only_lesion(mask, affine)
    a, b, c = lesion.diameters_mm
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 12 * 20 * 15 / 1000, rel=0.01)
    assert (a, b) == (pytest.approx(40, abs=0.7), pytest.approx(24, abs=0.9))
    assert c == pytest.approx(30 * KOTHARI_C, abs=1.0)
    assert lesion.abc2_ml == pytest.approx(a * b * c / 2000)
    assert lesion.centroid_mm == pytest.approx((4, -3, 2), abs=0.1)
    assert lesion.mean_hu == pytest.approx(60)


def test_slices_tilted_against_the_body_are_measured_in_their_own_plane() -> None:
    matrix = rotation(0, 20) @ np.diag([0.5, 0.5, 1.0])
    shape = (101, 101, 61)
    affine = centred(matrix, shape)
    lesion = only_lesion(ellipsoid(positions(affine, shape), (0, 0, 0), (15.0, 15.0, 15.0)), affine)
    assert lesion.diameters_mm == pytest.approx((30, 30, 30 * KOTHARI_C), abs=1.0)
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 15**3 / 1000, rel=0.01)


def test_one_voxel_has_its_own_size() -> None:
    mask = np.zeros((9, 9, 5))
    mask[4, 4, 2] = 1
    lesion = only_lesion(mask, np.diag([-0.5, 0.5, 5.0, 1.0]))
    assert lesion.diameters_mm == pytest.approx((0.5, 0.5, 5.0))
    assert lesion.volume_ml == pytest.approx(0.5 * 0.5 * 5 / 1000)
    assert lesion.bounding_slices == (2, 2)
    lesion = only_lesion(mask, np.diag([0.4, 0.9, 5.0, 1.0]))
    assert lesion.diameters_mm == pytest.approx((0.9, 0.4, 5.0))


def test_b_is_a_chord_not_a_caliper_width() -> None:
    mask = np.zeros((60, 30, 1))
    mask[5:55, 10:15] = 1  # the diagonal's perpendicular caliper would be almost 10 mm
    a, b, _ = only_lesion(mask, np.diag([1.0, 1.0, 5.0, 1.0])).diameters_mm
    assert a == pytest.approx(np.hypot(49, 4) + 1, abs=0.01)
    assert b == pytest.approx(5, abs=0.7)


def test_slices_count_as_kothari_weighs_them() -> None:
    mask = np.zeros((30, 30, 6))
    for k, rows in enumerate([4, 5, 15, 16, 20, 0]):  # 20 %, 25 %, 75 %, 80 %, 100 % of the largest
        mask[2 : 2 + rows, 2:22, k] = 1
    lesion = only_lesion(mask, np.diag([1.0, 1.0, 5.0, 1.0]))
    assert lesion.diameters_mm[2] == pytest.approx((0 + 0.5 + 0.5 + 1 + 1) * 5)
    assert lesion.bounding_slices == (0, 4)


def test_bounding_slices_count_along_the_axial_array_axis() -> None:
    matrix = np.diag([1.0, 1.0, 3.0])[:, [2, 0, 1]]
    mask = np.zeros((12, 20, 20))
    mask[3:8, 5:9, 5:9] = 1
    assert only_lesion(mask, centred(matrix, mask.shape)).bounding_slices == (3, 7)


def test_a_single_slice_is_measured() -> None:
    affine = centred(np.diag([0.5, 0.5, 5.0]), (101, 101, 1))
    mask = ellipsoid(positions(affine, (101, 101, 1)), (0, 0, 0), (10.0, 20.0, 1.0))
    lesion = only_lesion(mask, affine)
    assert lesion.diameters_mm == pytest.approx((40, 20, 5), abs=0.7)
    assert lesion.volume_ml == pytest.approx(np.pi * 10 * 20 * 5 / 1000, rel=0.01)


def test_lesions_touching_at_a_corner_are_one_and_are_sorted_by_size() -> None:
    mask = np.zeros((20, 20, 8), np.uint8)
    mask[2:4, 2:4, 1] = 1
    mask[4, 4, 2] = 1  # touches the first by a corner
    mask[10:16, 10:16, 3:6] = 1
    image = np.where(mask, 55.0, 30.0)
    image[10:16, 10:16, 3:6] = 70.0
    measurement = measure(mask, volume_of(image, np.eye(4)))
    assert [lesion.label for lesion in measurement.lesions] == [1, 2]
    assert [lesion.volume_ml for lesion in measurement.lesions] == pytest.approx([0.108, 0.005])
    assert [lesion.mean_hu for lesion in measurement.lesions] == pytest.approx([70, 55])
    assert measurement.volume_ml == pytest.approx(0.113)


def test_an_empty_mask_has_no_lesions() -> None:
    measurement = measure(np.zeros((5, 6, 7), np.uint8), volume_of(np.zeros((5, 6, 7)), np.eye(4)))
    assert measurement.volume_ml == 0
    assert measurement.lesions == ()


def test_a_mask_of_another_image_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"shape \(5, 6, 8\), its image \(5, 6, 7\)"):
        measure(np.zeros((5, 6, 8), np.uint8), volume_of(np.zeros((5, 6, 7)), np.eye(4)))


def head(turn: float, roll: float, shift: float, matrix: np.ndarray, background: float = -1000.0) -> Volume:
    """A head 150 × 190 mm in section: air, skull and brain, turned, tilted to the side and moved, on a head-holder."""
    shape = tuple(int(n) | 1 for n in np.abs(np.linalg.inv(matrix)) @ [230.0, 230.0, 120.0])
    affine = centred(matrix, shape)
    points = positions(affine, shape)
    own = (points - [shift, 0, 0]) @ rotation(2, turn) @ rotation(1, roll)
    array = np.full(shape, background)
    array[ellipsoid(own, (0, 0, -20), (75, 95, 100))] = 900.0
    array[ellipsoid(own, (0, 0, -20), (69, 89, 94))] = 30.0
    if background == -1000.0:
        array[(points[..., 1] < -104) & (points[..., 1] > -107) & (points[..., 0] < 90)] = 100.0
    return volume_of(array, affine)


@pytest.mark.parametrize("matrix", [np.diag([-3.0, -3.0, 5.0]), np.diag([3.0, 3.0, 5.0])[:, [2, 0, 1]]])
@pytest.mark.parametrize(("turn", "roll", "shift"), [(0, 0, 0), (0, 0, 25), (15, 0, 12), (-20, 8, -20)])
@pytest.mark.parametrize("background", [-1000.0, 0.0])
def test_side_is_the_patients_not_the_scanners(
    turn: float, roll: float, shift: float, matrix: np.ndarray, background: float
) -> None:
    volume = head(turn, roll, shift, matrix, background)
    own = (positions(volume.affine, volume.shape) - [shift, 0, 0]) @ rotation(2, turn) @ rotation(1, roll)
    for x, side in [(-12.0, "left"), (12.0, "right"), (0.0, "midline")]:
        mask = ellipsoid(own, (x, 60.0, 0.0), (6.0, 6.0, 6.0)).astype(np.uint8)
        (lesion,) = measure(mask, volume).lesions
        assert lesion.side == side


def test_midline_offset_is_in_millimetres_to_the_right() -> None:
    volume = head(10, 0, 20, np.diag([-2.0, -2.0, 5.0]))
    x, y, z = rotation(2, 10) @ [30, 50, 0] + [20, 0, 0]
    assert Midline(volume).offset_mm((x, y, z), (11, 13)) == pytest.approx(30, abs=1.5)


def test_a_round_head_with_a_swelling_on_one_side_is_mirrored_by_what_is_inside() -> None:
    shape, affine = (115, 115, 9), centred(np.diag([-2.0, -2.0, 5.0]), (115, 115, 9))
    own = positions(affine, shape) @ rotation(2, 12)
    array = np.full(shape, -1000.0)
    array[ellipsoid(own, (25, 0, 0), (68, 70, 300))] = 20.0  # scalp swelling on the patient's right
    array[ellipsoid(own, (0, 0, 0), (80, 80, 300))] = 900.0
    array[ellipsoid(own, (0, 0, 0), (74, 74, 300))] = 30.0
    for x in (-45, 45):
        array[ellipsoid(own, (x, -20, 0), (22, 7, 300))] = 900.0  # the petrous bones
    array[ellipsoid(own, (60, 0, 0), (12, 45, 300))] = 70.0  # subdural blood on the right
    x, y, z = rotation(2, 12) @ [-20.0, 50.0, 0.0]
    offset = Midline(volume_of(array, affine)).offset_mm((x, y, z), (4, 4))
    assert offset == pytest.approx(-20, abs=MIDLINE_TOLERANCE_MM)


def test_with_no_head_in_view_the_grids_centre_is_the_midline() -> None:
    mask = np.zeros((40, 40, 5))
    mask[30:34, 20:24, 2] = 1
    affine = centred(np.diag([1.0, 1.0, 5.0]), (40, 40, 5))
    (lesion,) = measure(mask.astype(np.uint8), volume_of(np.full((40, 40, 5), -1000.0), affine)).lesions
    assert lesion.side == "right"


def test_a_midline_known_already_gives_the_same_measurement() -> None:
    array = np.full((40, 40, 6), -1000.0, np.float32)
    array[5:35, 5:35] = 35.0
    volume = Volume(array=array, affine=centred(np.diag([4.0, 4.0, 5.0]), array.shape), case_id="box")
    mask = np.zeros(array.shape, np.uint8)
    mask[8:11, 18:22, 2:4] = 1
    assert measure(mask, volume, Midline(volume)) == measure(mask, volume)
