import numpy as np
import pytest
from helpers.ellipsoid_head import BONE, Head, coordinates, dice, make_head
from scipy import ndimage

from amd_das.errors import ConfigError
from amd_das.preprocessing.brain import BrainConfig, brain_mask


def found(head: Head) -> np.ndarray:
    return brain_mask(head.hu, head.spacing)


@pytest.fixture(scope="module")
def whole() -> Head:
    return make_head()


def test_everything_inside_the_skull_is_brain(whole: Head) -> None:
    mask = found(whole)
    assert mask.shape == whole.hu.shape
    assert mask.dtype == bool
    assert dice(mask, whole.inside) > 0.97
    assert mask[whole.blood].all()
    assert not mask[whole.hu > 600].any()


def test_a_calcification_is_part_of_the_brain(whole: Head) -> None:
    calcified = whole.inside & (whole.hu > 300)
    assert calcified.sum() > 50
    assert found(whole)[calcified].all()


def test_skull_base_amid_the_brain_is_left_out_but_dense_blood_in_a_clipped_window_is_not() -> None:
    head = make_head((1, 256, 256), (5.0, 0.9, 0.9))
    rows, columns = (int(places.mean()) for places in np.nonzero(head.inside[0]))
    bar = np.s_[0, rows - 6 : rows + 6, columns - 20 : columns + 20]
    hu = head.hu.copy()
    hu[bar] = 900
    assert not brain_mask(hu, head.spacing)[bar].any()
    hu[bar] = 85
    assert brain_mask(hu.clip(0, 80), head.spacing)[bar].all()


@pytest.mark.parametrize("window", [(0, 100), (0, 80), (-20, 100), (-100, 200)])
def test_bone_is_recognised_at_the_maximum_of_a_clipped_window(whole: Head, window: tuple[int, int]) -> None:
    assert dice(found(whole.clipped(*window)), whole.inside) > 0.97


@pytest.mark.parametrize("background", [0, -1024])
def test_a_stripped_skull_leaves_what_is_not_background(whole: Head, background: int) -> None:
    assert dice(found(whole.stripped(background)), whole.inside) > 0.99


def test_a_stripped_and_clipped_slice_with_bone_left_in_it_is_still_brain() -> None:
    """What stayed of the skull base sits at the window's maximum, like a skull, but encloses nothing."""
    head = make_head((1, 256, 256), (5.0, 0.9, 0.9)).stripped(0)
    hu = head.hu.clip(0, 100)
    rows, columns = np.nonzero(head.inside[0])
    middle = int(rows.mean())
    hu[0, middle - 3 : middle + 3, columns.min() : columns.max()] = 100
    mask = brain_mask(hu, head.spacing)
    assert dice(mask, head.inside) > 0.95


@pytest.mark.parametrize("height_mm", [-45.0, 0.0, 60.0])
def test_a_single_slice_is_enough(height_mm: float) -> None:
    head = make_head((1, 256, 256), (5.0, 0.9, 0.9), height_mm=height_mm)
    assert dice(found(head), head.inside) > 0.97


def test_thin_slices() -> None:
    head = make_head((12, 160, 160), (0.6, 1.4, 1.4), noise=12.0)
    assert dice(found(head), head.inside) > 0.97


@pytest.mark.parametrize("window", [(-1024, 3000), (0, 100)])
def test_brain_that_bulges_through_a_craniectomy_is_kept_and_the_scalp_is_not(window: tuple[int, int]) -> None:
    head = make_head((8, 256, 256), (12.0, 0.9, 0.9), craniectomy=True).clipped(*window)
    mask = found(head)
    intact = make_head((8, 256, 256), (12.0, 0.9, 0.9))
    bulging = head.inside & ~intact.inside
    assert bulging.sum() > 1000
    assert mask[bulging].mean() > 0.6
    assert dice(mask, head.inside) > 0.95
    _, _, left = coordinates(head.hu.shape, head.spacing)
    in_plane = np.ones((1, 3, 3), bool)
    scalp = (head.hu > -200) & ~ndimage.binary_erosion(head.hu > -200, in_plane, iterations=6) & (left > 0)
    assert mask[scalp].mean() < 0.05


def test_a_head_cut_off_by_the_field_of_view() -> None:
    head = make_head()
    hu, inside = head.hu[:, 30:, 40:], head.inside[:, 30:, 40:]
    assert inside[:, 0].any()
    assert dice(brain_mask(hu, head.spacing), inside) > 0.96


def test_blood_against_the_skull_is_inside_and_a_scalp_hematoma_is_not() -> None:
    head = make_head(epidural=True, scalp_hematoma=True)
    mask = found(head)
    assert dice(mask, head.inside) > 0.97
    assert not mask[(head.hu > 55) & (head.hu < 100) & ~head.inside].any()


def test_air_after_surgery_is_filled() -> None:
    head = make_head()
    hu = head.hu.copy()
    up, back, left = coordinates(hu.shape, head.spacing)
    bubble = np.broadcast_to((up - 20) ** 2 + (back + 40) ** 2 + left**2 < 12**2, hu.shape)
    hu[bubble] = -1000.0
    mask = brain_mask(hu, head.spacing)
    assert mask[bubble].all()
    assert dice(mask, head.inside) > 0.97


def test_what_lies_beside_the_brain_of_the_next_slice_is_a_face() -> None:
    head = make_head()
    hu = head.hu.copy()
    up, back, left = coordinates(hu.shape, head.spacing)
    face = (up < -62) & (np.hypot(back + 62, left) < 22)
    jaw = (up < -62) & (np.hypot(back + 62, left) < 30) & ~face
    hu[np.broadcast_to(jaw, hu.shape)] = BONE
    hu[np.broadcast_to(face, hu.shape)] = 50.0
    mask = brain_mask(hu, head.spacing)
    assert brain_mask(hu[:1], head.spacing).any()
    assert not mask[np.broadcast_to(face, hu.shape)].any()
    assert mask[5:].any(axis=(1, 2)).all()


@pytest.mark.parametrize("value", [-1000.0, 900.0])
def test_no_head_no_brain(value: float) -> None:
    hu = np.random.default_rng(0).normal(value, 3.0, (2, 96, 96)).astype(np.float32)
    assert not brain_mask(hu, (5.0, 2.0, 2.0)).any()


def test_fat_without_bone_is_no_head() -> None:
    _, back, left = coordinates((3, 128, 128), (5.0, 3.0, 3.0))
    radius = np.broadcast_to(np.hypot(back, left), (3, 128, 128))
    belly = np.select([radius < 110, radius < 150], [50.0, -100.0], -1000.0).astype(np.float32)
    assert not brain_mask(belly, (5.0, 3.0, 3.0)).any()


def test_two_runs_are_equal(whole: Head) -> None:
    assert (found(whole) == found(whole)).all()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="working_mm 0"):
        BrainConfig(working_mm=0)
