"""Painting: what is painted is no lesion, lesions change as asked, the outside stays outside, seeds repeat."""

from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.disc_slices import disc_slices
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    label,
)

from amd_das.errors import ConfigError
from amd_das.segmentation.painting import HEAD_CT, UNPAINTED, PaintConfig, paint
from amd_das.segmentation.painting.canvas import GREY_PER_HU

CONFOUNDERS = ("bone", "calcium", "falx", "sinus", "streaks", "subdural", "csf_blood", "settled_blood")
DARK = 10
Slices = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def slices() -> Slices:
    """Discs of tissue, each with a lesion and, well apart from it, a dark ventricle."""
    images, labels = disc_slices(8, lesions=1.0)
    images = images.copy()
    for image, mask in zip(images, labels, strict=True):
        depth = np.minimum(distance_transform_edt(image > 0), distance_transform_edt(mask == 0))
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        image[row - 8 : row + 8, column - 4 : column + 4] = DARK
    return images, labels


def painted(slices: Slices, config: PaintConfig, seed: int = 0) -> Slices:
    return paint(*slices, config, np.random.default_rng(seed))


def test_nothing_asked_for_changes_nothing(slices: Slices) -> None:
    images, labels = painted(slices, UNPAINTED)
    assert np.array_equal(images, slices[0])
    assert np.array_equal(labels, slices[1])


@pytest.mark.parametrize("name", [item.name for item in fields(PaintConfig)])
def test_a_chance_of_one_changes_every_slice(slices: Slices, name: str) -> None:
    images, _ = painted(slices, replace(UNPAINTED, **{name: 1.0}))
    assert (images != slices[0]).any((1, 2)).all()


@pytest.mark.parametrize("name", CONFOUNDERS)
def test_what_is_painted_is_bright_and_no_lesion(slices: Slices, name: str) -> None:
    images, labels = painted(slices, replace(UNPAINTED, **{name: 1.0}), seed=3)
    brighter = images.astype(int) - slices[0] > 25
    assert brighter.any()
    assert not (labels > slices[1]).any(), "no pixel becomes a lesion"
    covered = brighter & (slices[1] == 0)
    assert not labels[covered].any()


@pytest.mark.parametrize("name", ["falx", "streaks", "csf_blood", "calcium"])
def test_these_leave_the_lesion_as_it_is(slices: Slices, name: str) -> None:
    config = replace(UNPAINTED, **{name: 1.0})
    kept = [painted(slices, config, seed)[1].sum() / slices[1].sum() for seed in range(4)]
    assert min(kept) > 0.95


def test_a_subdural_covers_what_lies_beneath(slices: Slices) -> None:
    images, labels = slices
    everywhere = (images > 0).astype(labels.dtype)
    _, left = painted((images, everywhere), replace(UNPAINTED, subdural=1.0))
    assert (left.sum((1, 2)) < everywhere.sum((1, 2))).all()


def test_calcium_is_denser_than_fresh_blood(slices: Slices) -> None:
    found = []
    for seed in range(6):
        images, _ = painted(slices, replace(UNPAINTED, calcium=1.0), seed)
        cores = distance_transform_edt(images.astype(int) - slices[0] > 25, sampling=(100, 1, 1)) > 3
        found.extend(images[cores] / GREY_PER_HU)
    assert len(found) > 100
    assert np.percentile(found, 5) > 90, "a dense small bleed would be learnt as calcium otherwise"


def test_blood_in_csf_fills_what_is_dark_alone(slices: Slices) -> None:
    plain, nothing = disc_slices(1, lesions=0.0)
    for image, mask in zip(*slices, strict=True):
        pair = np.concatenate([plain, image[None]]), np.concatenate([nothing, mask[None]])  # nothing to borrow
        images, _ = painted(pair, replace(UNPAINTED, csf_blood=1.0))
        changed = np.abs(images[1].astype(int) - image) > 10
        assert changed.any()
        assert not changed[distance_transform_edt(image != DARK) > 4].any()


def test_ventricles_may_be_another_slices_where_ones_own_are_narrow() -> None:
    images, labels = disc_slices(2, lesions=0.0, noise=0.0)
    images[0, 100:140, 110:130] = DARK  # the second slice has none
    added = [painted((images, labels), replace(UNPAINTED, csf_blood=1.0), seed)[0][1] > 90 for seed in range(30)]
    areas = [int(bright.sum()) for bright in added]
    assert 3 <= sum(area > 0 for area in areas) <= 18, "now and then"
    assert 1.3 * 40 * 20 < max(areas) < 4 * 40 * 20, "blood widens them"
    rows, columns = np.nonzero(np.any(added, axis=0))
    assert abs(rows.mean() - 120) < 12 and abs(columns.mean() - 120) < 12, "in the middle"


def test_blood_in_ventricles_settles_on_both_sides_or_is_a_clot_with_fluid_around_it() -> None:
    images, labels = disc_slices(1, lesions=0.0, noise=0.0)
    ventricles = np.zeros((2, *images.shape[1:]), bool)
    ventricles[0, 90:150, 95:115] = ventricles[1, 90:150, 125:145] = True
    images[0, ventricles.any(0)] = DARK
    kinds = {"level": 0, "both sides": 0, "clot": 0}
    for seed in range(60):
        after, labels_after = painted((images, labels), replace(UNPAINTED, settled_blood=1.0), seed)
        bright = after[0] > 90
        assert not labels_after.any()
        inside = [bright[side].reshape(60, 20).any(1) for side in ventricles]
        full = [bright[side].reshape(60, 20).mean(1) > 0.8 for side in ventricles]
        level = any(
            rows[-8:].all() and not rows[:6].any() and (np.diff(rows.astype(int)) != 0).sum() == 1 for rows in full
        )
        kinds["level"] += level
        kinds["both sides"] += level and all(rows.any() for rows in inside)
        rim = ventricles.any(0) & ~binary_erosion(ventricles.any(0), iterations=2)
        kinds["clot"] += bool(bright.sum() > 30 and not bright[rim].any())
    assert all(count >= 2 for count in kinds.values()), kinds


def test_blood_fills_ventricles_as_they_are_or_widens_them() -> None:
    images, labels = disc_slices(1, lesions=0.0, noise=0.0)
    ventricle = np.zeros(images.shape[1:], bool)
    ventricle[90:150, 110:130] = True
    images[0, ventricle] = DARK
    beyond = ~binary_dilation(ventricle, iterations=3)
    kinds = {"as it is": 0, "widened": 0}
    for seed in range(60):
        bright = painted((images, labels), replace(UNPAINTED, settled_blood=1.0), seed)[0][0] > 90
        full = bright[ventricle].mean() > 0.5
        kinds["as it is"] += bool(full and not bright[beyond].any())
        kinds["widened"] += bool(full and bright[beyond].any())
    assert all(count >= 3 for count in kinds.values()), kinds


def test_blood_fills_pockets_of_the_ventricles_to_the_wall_one_or_all() -> None:
    images, labels = disc_slices(1, lesions=0.0, noise=0.0)
    down, across = np.indices(images.shape[1:])
    horns = [((down - 150) / 12) ** 2 + ((across - column) / 6) ** 2 < 1 for column in (80, 160)]
    slit = (abs(down - 100) < 25) & (abs(across - 120) < 3)
    images[0, horns[0] | horns[1] | slit] = DARK
    kinds = {"one": 0, "both": 0, "both and the slit": 0}
    for seed in range(80):
        after, labels_after = painted((images, labels), replace(UNPAINTED, settled_blood=1.0), seed)
        assert not labels_after.any()
        full = [bool(np.quantile(after[0][binary_erosion(space)], 0.1) > 30) for space in (*horns, slit)]
        kinds["one"] += sum(full[:2]) == 1
        kinds["both"] += full == [True, True, False]
        kinds["both and the slit"] += all(full)
    assert all(count >= 4 for count in kinds.values()), kinds


def test_an_infarct_is_dark_with_living_islands_and_spares_lesion_and_csf(slices: Slices) -> None:
    images, labels = painted(slices, replace(UNPAINTED, infarct=1.0), seed=1)
    darker = slices[0].astype(int) - images
    assert np.array_equal(labels, slices[1])
    assert (np.abs(darker[labels > 0]) <= 1).all()
    fluid = np.stack([binary_erosion(image == DARK, iterations=2) for image in slices[0]])
    assert fluid.any() and (np.abs(darker[fluid]) <= 1).all()
    assert (images[slices[0] > 0] >= 1).all() and not (darker < -1).any(), "nothing gets brighter"
    dead = [binary_opening(one > 4, iterations=2) for one in darker]
    assert sum(one.sum() > 60 for one in dead) >= 4
    assert any((binary_fill_holes(one) & ~one).sum() > 20 for one in dead), "what lives in it is as bright as before"


def test_dark_specks_are_noise_and_hold_no_settled_blood() -> None:
    def bright(side: int) -> int:
        images, labels = disc_slices(2, lesions=0.0, noise=0.0)  # the second has no specks to lend
        for row in range(60, 180, 30):
            images[0, row : row + side, 80 : 80 + side] = 10
        return sum(
            (painted((images, labels), replace(UNPAINTED, settled_blood=1.0), n)[0] > 90).any() for n in range(9)
        )

    assert bright(5) == 0
    assert bright(9) >= 5


@pytest.mark.parametrize("name", ["csf_blood", "settled_blood"])
def test_a_narrow_ventricle_lends_nothing_that_would_look_like_a_small_bleed(name: str) -> None:
    images, labels = disc_slices(2, lesions=0.0, noise=0.0)
    images[0, 117:123, 117:123] = DARK
    config = replace(UNPAINTED, **{name: 1.0})
    for seed in range(30):
        assert not (painted((images, labels), config, seed)[0][1] > 90).any()
    own = [(painted((images[:1], labels[:1]), config, seed)[0][0] > 90).any() for seed in range(30)]
    assert any(own) or name == "csf_blood", "one in the middle may hold blood"


def test_the_noise_of_the_scan_goes_on_in_other_blood(slices: Slices) -> None:
    def spread(noise: float) -> float:
        images, labels = disc_slices(8, lesions=0.0, noise=noise)
        after, _ = painted((images, labels), replace(UNPAINTED, subdural=1.0))
        covered = after.astype(int) - images > 25
        steps = np.diff(after.astype(float), axis=2)[covered[..., 1:] & covered[..., :-1]]
        return float(np.median(np.abs(steps)))

    assert spread(16.0) > 2 * spread(2.0)


def test_a_part_of_the_lesion_stays_and_the_rest_looks_like_tissue(slices: Slices) -> None:
    images, labels = painted(slices, replace(UNPAINTED, partial=1.0))
    gone = (slices[1] > 0) & (labels == 0)
    assert not (labels > slices[1]).any()
    assert (labels.sum((1, 2)) > 0).all()
    assert gone.any()
    tissue = np.median(slices[0][(slices[0] > 60) & (slices[1] == 0)])
    assert abs(np.median(images[gone]) - tissue) < 25
    shares = labels.sum((1, 2)) / slices[1].sum((1, 2))
    assert shares.min() < 0.6
    assert shares.max() <= 1.0


def test_partial_lesions_may_be_patches(slices: Slices) -> None:
    counts = [label(mask)[1] for seed in range(6) for mask in painted(slices, replace(UNPAINTED, partial=1.0), seed)[1]]
    assert max(counts) > 1
    assert min(counts) == 1


def test_a_pale_lesion_keeps_its_outline(slices: Slices) -> None:
    images, labels = painted(slices, replace(UNPAINTED, pale=1.0))
    assert np.array_equal(labels, slices[1])
    lesion = slices[1] > 0
    assert images[lesion].mean() < slices[0][lesion].mean()


def test_the_outside_stays_outside_and_types_are_kept(slices: Slices) -> None:
    images, labels = painted(slices, PaintConfig(**{item.name: 1.0 for item in fields(PaintConfig)}))
    assert images.dtype == np.uint8
    assert labels.dtype == slices[1].dtype
    assert not images[slices[0] == 0].any()
    assert not labels[slices[0] == 0].any()
    assert (images[slices[0] > 0] > 0).all(), "the inside is never taken for the outside"


def test_the_same_seed_paints_the_same(slices: Slices) -> None:
    first, second, other = (painted(slices, HEAD_CT, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_head_is_painted_alike_wherever_it_lies_in_the_slice(slices: Slices) -> None:
    def moved(batch: np.ndarray) -> np.ndarray:
        return np.roll(batch, (-9, 14), axis=(1, 2))

    config = PaintConfig(**{item.name: 0.5 for item in fields(PaintConfig)})
    here, there = painted(slices, config), painted((moved(slices[0]), moved(slices[1])), config)
    assert not np.array_equal(here[0], slices[0])
    assert all(np.array_equal(moved(one), other) for one, other in zip(here, there, strict=True))


def test_slivers_of_brain_and_empty_slices_are_left_alone() -> None:
    images, labels = np.zeros((2, 64, 64), np.uint8), np.zeros((2, 64, 64), np.uint8)
    images[1, 30:34, 30:34] = 80
    again, _ = paint(images, labels, HEAD_CT, np.random.default_rng(0))
    assert np.array_equal(again, images)


def test_a_chance_is_a_chance() -> None:
    with pytest.raises(ConfigError, match=r"bone 1\.5"):
        PaintConfig(bone=1.5)
