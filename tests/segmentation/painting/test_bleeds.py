"""Painted bleeds: what is painted is lesion, in ordinary tissue alone; seeds repeat."""

import numpy as np
import pytest
from helpers.disc_slices import disc_slices
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label

from amd_das.errors import ConfigError
from amd_das.segmentation.painting import BleedConfig, add_bleeds
from amd_das.segmentation.painting.canvas import GREY_PER_HU

ALWAYS = BleedConfig(chance=1.0)
Slices = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def slices() -> Slices:
    """Discs of tissue without a lesion."""
    return disc_slices(12, lesions=0.0)


def painted(slices: Slices, config: BleedConfig = ALWAYS, seed: int = 0) -> Slices:
    return add_bleeds(*slices, config, np.random.default_rng(seed))


@pytest.mark.parametrize(("contusion", "visible"), [(0.0, 30), (1.0, 75)])
def test_what_is_painted_is_lesion_and_brighter(slices: Slices, contusion: float, visible: int) -> None:
    images, labels = painted(slices, BleedConfig(chance=1.0, contusion=contusion))
    assert images.dtype == labels.dtype == np.uint8
    assert (labels.sum((1, 2)) > 0).sum() >= 9, "few places have no room"
    inside = labels > 0
    assert images[inside].mean() > slices[0][inside].mean() + 20
    far = ~np.stack([binary_dilation(mask, iterations=3) for mask in inside])
    brighter = images.astype(int) - slices[0] > visible
    left = (brighter & far).sum((1, 2))
    assert left.max() < 6, "nothing bright is left without its outline, but slivers, and thin blood between patches"


def test_contusions_lie_at_the_surface_and_are_in_pieces(slices: Slices) -> None:
    def shape(contusion: float) -> tuple[float, float]:
        """Of lesion pixels: their part that borders on others, and mean distance from the middle."""
        _, labels = painted(slices, BleedConfig(chance=1.0, contusion=contusion), seed=2)
        rows = np.argwhere(labels)[:, 1:]
        edge = sum((mask & binary_dilation(mask == 0)).sum() for mask in labels > 0) / labels.sum()
        return edge, float(np.hypot(*(rows - 120).T).mean())

    (patchy, outside), (solid, inside) = shape(1.0), shape(0.0)
    assert patchy > solid
    assert outside > inside


def test_faint_contusions_are_little_brighter_than_the_tissue(slices: Slices) -> None:
    def added(faint: float) -> np.ndarray:
        images, labels = painted(slices, BleedConfig(chance=1.0, contusion=1.0, faint=faint), seed=3)
        pairs = [
            (image[mask > 0], before[mask > 0]) for image, before, mask in zip(images, slices[0], labels, strict=True)
        ]
        return np.array([after.mean() - before.mean() for after, before in pairs if len(after)]) / GREY_PER_HU

    faint, ordinary = added(1.0), added(0.0)
    assert len(faint) >= 9, "they are lesions all the same"
    assert 5 < np.median(faint) < 25
    assert np.median(ordinary) > 1.3 * np.median(faint)


def test_other_blood_and_bone_are_not_painted_over(slices: Slices) -> None:
    images = slices[0].copy()
    images[:, :, :110][images[:, :, :110] > 0] = 170  # one side is as bright as blood
    again, labels = painted((images, slices[1]))
    assert not labels[:, :, :106].any()
    assert np.abs(again[:, :, :100].astype(int) - images[:, :, :100]).max() <= 1


def test_a_bleed_may_break_into_the_ventricle_beside_it_which_is_no_lesion(slices: Slices) -> None:
    images = np.where(slices[0] > 0, 80, 0).astype(np.uint8)
    images[:, 95:150, 112:128] = 10
    ventricle = np.zeros(images.shape, bool)
    ventricle[:, 97:148, 114:126] = True
    many = [painted((images, slices[1]), BleedConfig(chance=1.0, contusion=0.0), seed) for seed in range(6)]
    bright = [((image > 90) & ventricle).sum((1, 2)) > 100 for image, _ in many]
    assert 2 <= np.sum(bright) <= 40, "now and then"
    assert not any((mask > 0)[ventricle].any() for _, mask in many)


def test_a_bleed_may_fill_a_piece_of_brain(slices: Slices) -> None:
    images = np.zeros_like(slices[0])
    piece = np.zeros(images.shape[1:], bool)
    piece[90:150, 60:90] = True  # 30 by 60 mm, as a temporal pole is
    images[:, piece] = slices[0][:, 90:150, 100:130].reshape(len(images), -1)
    images[:, 60:200, 100:180] = slices[0][:, 60:200, 80:160]
    always = BleedConfig(chance=1.0, contusion=1.0, island=1.0)
    never = BleedConfig(chance=1.0, contusion=1.0, island=0.0)
    filled, elsewhere = (
        [(mask[piece] > 0).mean() for mask in painted((images, slices[1]), c)[1]] for c in (always, never)
    )
    assert np.median(filled) > 0.25
    assert max(filled) > 0.8, "now and then the whole"
    assert np.median(elsewhere) < 0.05


def test_solid_bleeds_may_lie_beside_ventricles(slices: Slices) -> None:
    images = np.where(slices[0] > 0, 80, 0).astype(np.uint8)
    images[:, 95:150, 112:128] = 10

    def distance(share: float) -> float:
        _, labels = painted((images, slices[1]), BleedConfig(chance=1.0, contusion=0.0, beside=share), seed=1)
        away = distance_transform_edt(images[0] != 10)
        return float(np.median([away[mask > 0].mean() for mask in labels if mask.any()]))

    assert distance(1.0) < 0.6 * distance(0.0)


def test_small_bleeds_are_a_few_millimetres_long(slices: Slices) -> None:
    def lengths(share: float) -> list[int]:
        _, labels = painted(slices, BleedConfig(chance=1.0, contusion=0.0, small=share), seed=1)
        pieces = [found for mask in labels for found in find_objects(label(mask)[0])]
        return [max(part.stop - part.start for part in piece) for piece in pieces]

    assert max(lengths(1.0)) <= 20, "14 and its rough edge"
    assert np.median(lengths(1.0)) < np.median(lengths(0.0))


def test_the_noise_of_the_scan_goes_on_in_what_is_painted() -> None:
    def spread(noise: float) -> float:
        images, labels = painted(disc_slices(12, lesions=0.0, noise=noise), BleedConfig(chance=1.0, contusion=0.0))
        steps = np.diff(images.astype(float), axis=2)[(labels[..., 1:] > 0) & (labels[..., :-1] > 0)]
        return float(np.median(np.abs(steps)))

    assert spread(16.0) > 2 * spread(2.0)


def test_lesions_that_are_there_stay() -> None:
    images, labels = disc_slices(8, lesions=1.0)
    _, more = painted((images, labels))
    assert (more >= labels).all()
    assert more.sum() > labels.sum()


def test_a_chance_of_none_changes_nothing(slices: Slices) -> None:
    images, labels = painted(slices, BleedConfig(chance=0.0))
    assert np.array_equal(images, slices[0])
    assert np.array_equal(labels, slices[1])


def test_the_outside_stays_outside_and_the_same_seed_paints_the_same(slices: Slices) -> None:
    first, second, other = (painted(slices, seed=seed) for seed in (4, 4, 5))
    assert not first[0][slices[0] == 0].any()
    assert not first[1][slices[0] == 0].any()
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_head_is_painted_alike_wherever_it_lies_in_the_slice(slices: Slices) -> None:
    def moved(batch: np.ndarray) -> np.ndarray:
        return np.roll(batch, (-9, 14), axis=(1, 2))

    here, there = painted(slices), painted((moved(slices[0]), moved(slices[1])))
    assert here[1].any()
    assert all(np.array_equal(moved(one), other) for one, other in zip(here, there, strict=True))


def test_a_sliver_of_brain_is_left_alone() -> None:
    images = np.zeros((1, 64, 64), np.uint8)
    images[0, 30:34, 30:34] = 80
    again, labels = painted((images, np.zeros_like(images)))
    assert np.array_equal(again, images)
    assert not labels.any()


def test_a_chance_is_a_chance() -> None:
    with pytest.raises(ConfigError, match=r"contusion 1\.5"):
        BleedConfig(contusion=1.5)


def test_in_a_swollen_brain_the_ventricles_are_closed_on_one_side_or_both() -> None:
    images, labels = disc_slices(1, lesions=0.0, noise=0.0)
    tissue = int(images[0, 120, 120])
    sides = np.zeros((2, *images.shape[1:]), bool)
    sides[0, 100:140, 95:105] = sides[1, 100:140, 135:145] = True
    images[0, sides.any(0)] = 10
    config = BleedConfig(chance=1.0, contusion=1.0, effaced=1.0)
    found = {"one side": 0, "both": 0}
    for seed in range(40):
        after, lesion = painted((images, labels), config, seed)
        far = distance_transform_edt(lesion[0] == 0) > 28  # a bleed has edema
        if not far[sides.any(0)].all():
            continue
        closed = [bool((abs(after[0][side].astype(int) - tissue) < 15).all()) for side in sides]
        still = [bool((after[0][side] <= 12).all()) for side in sides]
        assert any(closed) and all(a != b for a, b in zip(closed, still, strict=True))
        found["both" if all(closed) else "one side"] += 1
        changed = abs(after[0].astype(int) - images[0]) > 1
        beside = distance_transform_edt(~sides.any(0)) < 6
        assert not (changed & ~beside & (distance_transform_edt(lesion[0] == 0) > 60)).any()
    assert min(found.values()) >= 3, found
    with pytest.raises(ConfigError, match="effaced"):
        BleedConfig(effaced=1.5)
