import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers.ellipsoid_head import Head, coordinates, dice, make_head

from amd_das.errors import ConfigError, NotHeadCtError
from amd_das.preprocessing import PreprocessConfig, preprocess
from amd_das.volume import Volume


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head((4, 160, 160), (25.0, 1.4, 1.4))


def test_slices_are_windowed_brain_on_black(head: Head) -> None:
    done = preprocess(head.volume())
    assert done.slices.shape == done.brain.shape == (4, 240, 240)
    assert (done.slices.dtype, done.brain.dtype) == (np.float32, bool)
    assert done.slices.min() == 0.0 and done.slices.max() <= 1.0
    assert (done.slices[~done.brain] == 0).all()
    assert np.median(done.slices[done.brain]) == pytest.approx(0.33, abs=0.02)
    assert done.warnings == ()


def test_bone_does_not_shine_into_the_rim_of_the_brain(head: Head) -> None:
    done = preprocess(head.volume())
    rim = done.brain & ~np.roll(done.brain, 1, axis=2)
    assert rim.sum() > 300
    assert np.percentile(done.slices[rim], 90) < 0.45


def test_the_bleed_of_the_left_lies_right_of_the_middle_and_comes_back_to_its_voxels(head: Head) -> None:
    done = preprocess(head.volume())
    assert np.nonzero(done.slices > 0.55)[2].mean() > 130
    back = done.grid.backward((done.slices > 0.55).astype(np.float32)) >= 0.5
    assert dice(back, head.blood.transpose(2, 1, 0)) > 0.85


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_order_of_the_stored_axes_makes_no_difference(head: Head, axes: tuple[int, int, int]) -> None:
    volume = head.volume()
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3][:, axes] * [1, -1, -1]
    array = volume.array.transpose(axes)[:, ::-1, ::-1]
    corner = np.array([0, 0, 0, 1])
    corner[[axes[1], axes[2]]] = array.shape[1] - 1, array.shape[2] - 1
    affine[:3, 3] = (volume.affine @ corner)[:3]
    stored = preprocess(replace(volume, array=np.ascontiguousarray(array), affine=affine))
    assert np.abs(stored.slices - preprocess(volume).slices).max() < 1e-4


@pytest.mark.parametrize("height_mm", [-40.0, 0.0, 60.0])
def test_a_single_slice(height_mm: float) -> None:
    done = preprocess(make_head((1, 192, 192), (5.0, 1.2, 1.2), height_mm=height_mm).volume())
    assert done.with_brain.tolist() == [0]


def test_slices_above_the_brain_hold_none() -> None:
    done = preprocess(make_head((14, 160, 160), (12.0, 1.4, 1.4)).volume())
    assert 0 < len(done.with_brain) < 14
    assert not done.brain[-1].any()


def test_an_unknown_pixel_size_is_said(head: Head) -> None:
    done = preprocess(replace(head.volume(), affine=np.eye(4), spacing_known=False))
    assert not done.grid.spacing_known
    assert "volumes in mL are not reliable" in done.warnings[0]
    assert np.ptp(np.nonzero(done.brain)[1]) == pytest.approx(240 / (160 * 1.4) * 170, rel=0.04)


@pytest.mark.parametrize(
    ("factor", "measured"), [(2.5, r"the brain would be 4\d\d mm long"), (0.2, "would be 4. mm wide")]
)
def test_an_impossible_pixel_size_is_disregarded(head: Head, factor: float, measured: str) -> None:
    volume = head.volume()
    scaled = preprocess(replace(volume, affine=volume.affine @ np.diag([factor, factor, 1.0, 1.0])))
    assert not scaled.grid.spacing_known
    assert re.search(measured, scaled.warnings[0])
    assert np.median(scaled.slices[scaled.brain]) == pytest.approx(0.33, abs=0.02)


def test_pixels_of_exactly_one_millimetre_over_a_wide_field_are_a_placeholder() -> None:
    head = make_head((1, 512, 512), (5.0, 0.45, 0.45), height_mm=62.0)
    done = preprocess(replace(head.volume(), affine=np.eye(4)))
    assert not done.grid.spacing_known
    assert re.search("exactly 1 mm, and the field of view would be 512 mm wide", done.warnings[0])


def test_thin_slices_are_averaged(head: Head) -> None:
    thin = make_head((12, 128, 128), (1.0, 1.8, 1.8), noise=20.0).volume()
    assert preprocess(thin).slices.shape[0] == 4
    assert preprocess(thin, PreprocessConfig(slab_mm=0.0)).slices.shape[0] == 12


def water() -> np.ndarray:
    _, back, left = coordinates((3, 128, 128), (5.0, 1.8, 1.8))
    disc = np.broadcast_to(np.hypot(back, left) < 90, (3, 128, 128))
    return np.where(disc, 0.0, -1000.0) + np.random.default_rng(0).normal(0, 4, disc.shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda head: water(),
        lambda head: head.hu + 1024,
        lambda head: np.where(head.inside, 110.0, 255.0 * (head.hu > 500)),
        lambda head: np.where(head.inside, 400.0, 20.0) + np.random.default_rng(0).normal(0, 6, head.hu.shape),
        lambda head: np.random.default_rng(0).normal(-1000, 10, head.hu.shape),
    ],
    ids=["water", "no rescale intercept", "export", "mr", "air"],
)
def test_what_is_no_head_ct_is_refused(head: Head, make: Callable[[Head], np.ndarray]) -> None:
    array = make(head).astype(np.float32).transpose(2, 1, 0)
    with pytest.raises(NotHeadCtError):
        preprocess(Volume(array=array, affine=head.volume().affine, case_id="bad"))


def test_the_volume_is_left_as_it_is(head: Head) -> None:
    volume = head.volume()
    before = volume.array.copy()
    preprocess(volume)
    assert (volume.array == before).all()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="slab_mm -1"):
        PreprocessConfig(slab_mm=-1)
