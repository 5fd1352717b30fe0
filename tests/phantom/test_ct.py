"""The CT phantom: seeded, anatomically plausible in HU, and exact about what bleeds where."""

import numpy as np
import pytest
import torch

from amd_das.phantom.anatomy import draw_subject
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.ct import make_ct
from amd_das.phantom.lesions import (
    HEMORRHAGE_KINDS,
    Lesion,
    draw_contusion,
    draw_extra_axial,
    draw_hemorrhage,
    draw_subarachnoid,
    draw_texture,
    draw_ventricular,
)
from amd_das.phantom.look import CtScene, draw_look
from amd_das.phantom.scanner import Scanner, scan

COARSE = Scanner(matrix=96, pixel_mm=2.4, slice_mm=6.0, subslices=1, noise_hu=1.0)


def scan_with(seed: int, *lesions: Lesion, scanner: Scanner = COARSE) -> PhantomCase:
    rng = np.random.default_rng(seed)
    subject = draw_subject(rng)
    return scan(CtScene(subject, lesions, draw_look(rng)), scanner, rng, "case")


def texture(seed: int = 0):
    return draw_texture(np.random.default_rng(seed))


@pytest.fixture(scope="module")
def plain() -> PhantomCase:
    return scan_with(3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    first, again, other = (make_ct(seed, scanner=COARSE) for seed in (5, 5, 6))
    assert first.volume.array.tobytes() == again.volume.array.tobytes()
    assert all(first.masks[kind].tobytes() == again.masks[kind].tobytes() for kind in HEMORRHAGE_KINDS)
    assert first.record == again.record
    assert first.volume.array.tobytes() != other.volume.array.tobytes()


def test_tissues_have_their_hu(plain: PhantomCase) -> None:
    array = plain.volume.array
    assert array.min() >= -1024
    assert np.median(array) == pytest.approx(-1000, abs=15)
    assert (array > 500).mean() > 0.02, "no skull"
    middle = array[40:56, 40:56, array.shape[2] // 2]
    assert 15 < np.median(middle) < 45, "no brain in the middle"
    assert array.dtype == np.float32
    assert np.array_equal(array, np.rint(array))


def test_without_lesions_every_mask_is_there_and_empty(plain: PhantomCase) -> None:
    assert set(plain.masks) == set(HEMORRHAGE_KINDS)
    for mask in plain.masks.values():
        assert mask.shape == plain.volume.shape
        assert mask.dtype == np.uint8
        assert not mask.any()


@pytest.mark.parametrize("volume_ml", [8.0, 60.0])
def test_a_hemorrhage_has_about_the_volume_asked_for(volume_ml: float) -> None:
    rng = np.random.default_rng(1)
    lesion = draw_hemorrhage(rng, texture(), volume_ml)
    mask = scan_with(2, lesion).masks["iph"]
    measured = mask.sum() * abs(np.linalg.det(scan_with(2).volume.affine[:3, :3])) / 1000
    assert 0.4 * volume_ml < measured < 1.8 * volume_ml


def test_blood_is_brighter_than_the_brain_it_lies_in() -> None:
    rng = np.random.default_rng(4)
    lesion = draw_hemorrhage(rng, texture(), 40.0)
    with_blood, without = scan_with(2, lesion), scan_with(2)
    inside = with_blood.masks["iph"] > 0
    rise = with_blood.volume.array[inside].mean() - without.volume.array[inside].mean()
    assert rise > 8


@pytest.mark.parametrize("kind", ["sdh", "edh"])
def test_extra_axial_blood_lies_against_the_skull_on_one_side(kind: str) -> None:
    rng = np.random.default_rng(7)
    subject_gap = 1.5
    lesion = draw_extra_axial(rng, texture(), kind, subject_gap)  # type: ignore[arg-type]
    case = scan_with(8, lesion)
    mask = case.masks[kind] > 0
    assert mask.sum() > 30
    i, j, k = np.nonzero(mask)
    x = (case.volume.affine @ np.stack([i, j, k, np.ones_like(i)]))[0]
    assert abs(np.sign(x).mean()) > 0.9
    assert not any(case.masks[other].any() for other in HEMORRHAGE_KINDS if other != kind)


@pytest.mark.parametrize(("kind", "draw"), [("ivh", draw_ventricular), ("sah", draw_subarachnoid)])
def test_blood_in_csf_stays_in_its_compartment(kind: str, draw) -> None:
    rng = np.random.default_rng(11)
    fine = Scanner(matrix=128, pixel_mm=1.8, slice_mm=5.0, subslices=1)
    total = dict.fromkeys(HEMORRHAGE_KINDS, 0)
    for seed in range(3):
        masks = scan_with(seed, draw(rng, texture()), scanner=fine).masks
        for name in total:
            total[name] += int(masks[name].sum())
    assert total[kind] > 20
    assert sum(total.values()) == total[kind]


def test_masks_of_different_bleeds_do_not_overlap() -> None:
    rng = np.random.default_rng(5)
    lesions = [
        draw_ventricular(rng, texture()),
        draw_extra_axial(rng, texture(), "sdh", 1.5),
        draw_contusion(rng, texture(), 30.0),
    ]
    masks = scan_with(9, *lesions).masks
    assert sum(mask.any() for mask in masks.values()) >= 2
    assert np.sum(list(masks.values()), axis=0).max() == 1


def test_the_gantry_tilt_shears_the_grid_and_nothing_else() -> None:
    straight = scan_with(3, scanner=COARSE).volume.affine[:3, :3]
    tilted = scan_with(
        3, scanner=Scanner(matrix=96, pixel_mm=2.4, slice_mm=6.0, subslices=1, tilt_deg=20)
    ).volume.affine
    columns = tilted[:3, :3]
    assert columns[:, 0] @ columns[:, 1] == pytest.approx(0)
    cosine = columns[:, 1] @ columns[:, 2] / np.linalg.norm(columns[:, 1]) / np.linalg.norm(columns[:, 2])
    assert cosine == pytest.approx(np.sin(np.deg2rad(20)), abs=1e-6)
    assert np.linalg.norm(columns, axis=0) == pytest.approx(np.linalg.norm(straight, axis=0))


def test_mass_effect_pushes_tissue_away_from_the_bleed() -> None:
    rng = np.random.default_rng(1)
    lesion = draw_hemorrhage(rng, texture(), 50.0)
    centre = lesion.blobs[0].centre
    beside = centre + torch.tensor([[lesion.blobs[0].radius_mm * 1.2, 0.0, 0.0]])
    came_from = beside + lesion.displacement(beside)
    assert (came_from - centre).norm() < (beside - centre).norm()


def test_a_smaller_pixel_shows_the_same_head() -> None:
    """Rendering interpolates where pixels are finer than the anatomy: the mask's volume stays."""
    rng = np.random.default_rng(1)
    lesion = draw_hemorrhage(rng, texture(), 30.0)
    volumes = []
    for matrix in (120, 240):
        case = scan_with(2, lesion, scanner=Scanner(matrix=matrix, pixel_mm=216 / matrix, slice_mm=8, subslices=1))
        volumes.append(case.masks["iph"].sum() * case.volume.voxel_ml)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.05)
