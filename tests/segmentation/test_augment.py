"""Augmentation: image and label move alike, the outside stays outside, strengths are what they say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_slices

from amd_das.errors import ConfigError
from amd_das.segmentation.augment import NONE, PAPER, RICH, AugmentConfig, augment, change_grey, move, strip_rims
from amd_das.slices import network_image, network_label


@pytest.fixture(scope="module")
def slices() -> tuple[np.ndarray, np.ndarray]:
    return disc_slices(6, lesions=1.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_changes_slices_come_as_they_are(slices: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = augment(*slices, NONE, rng())
    assert torch.equal(image, network_image(slices[0]))
    assert torch.equal(label, network_label(slices[1]))


@pytest.mark.parametrize(("name", "axis"), [("flip_lr", -1), ("flip_ap", -2)])
def test_a_flip_mirrors_image_and_label_exactly(slices: tuple[np.ndarray, np.ndarray], name: str, axis: int) -> None:
    image, label = augment(*slices, replace(NONE, **{name: 1.0}), rng())
    assert torch.equal(image, network_image(slices[0]).flip(axis))
    assert torch.equal(label, network_label(slices[1]).flip(axis))


@pytest.mark.parametrize(("name", "axis"), [("flip_lr", -1), ("flip_ap", -2)])
def test_a_flip_joins_in_with_other_movements(slices: tuple[np.ndarray, np.ndarray], name: str, axis: int) -> None:
    config = replace(NONE, zoom=1e-9, **{name: 1.0})
    image, label = augment(*slices, config, rng())
    assert torch.allclose(image, network_image(slices[0]).flip(axis), atol=0.01)
    assert torch.equal(label, network_label(slices[1]).flip(axis))


def test_half_of_the_slices_are_mirrored() -> None:
    stack = torch.zeros(400, 3, 2, 2)
    stack[..., 0, 0] = 1
    moved = move(stack, PAPER, rng())[:, 0]
    corners = torch.stack([moved[:, 0, 0], moved[:, 0, 1], moved[:, 1, 0], moved[:, 1, 1]]).mean(1)
    assert ((corners - 0.25).abs() < 0.08).all()


def test_brightness_is_a_factor_within_its_range() -> None:
    unit = torch.full((200, 1, 4, 4), 0.5)
    unit[..., 0] = 0
    changed = change_grey(unit, PAPER, torch.Generator().manual_seed(0))
    factors = changed[:, 0, :, 1:] / 0.5
    assert (changed[..., 0] == 0).all()
    assert (factors.amax((1, 2)) == factors.amin((1, 2))).all(), "one factor a slice"
    assert 0.8 <= factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.2


@pytest.mark.parametrize("patch", [None, 64, 160, 240])
@pytest.mark.parametrize("config", [PAPER, RICH])
def test_the_outside_stays_outside_and_the_rest_in_range(
    slices: tuple[np.ndarray, np.ndarray], config: AugmentConfig, patch: int | None
) -> None:
    image, label = augment(*slices, config, rng(1), patch=patch)
    side = patch or 240
    assert image.shape == label.shape == (6, 1, side, side)
    assert image.dtype == label.dtype == torch.float32
    assert image.min() >= -1
    assert image.max() <= 1
    assert set(label.unique().tolist()) == {0.0, 1.0}
    assert side < 240 or (image[..., :20, :20] == -1).all()


@pytest.mark.parametrize("config", [replace(RICH, ceiling=0.0), replace(PAPER, rotation=0.5)])
@pytest.mark.parametrize("patch", [None, 96])
def test_image_and_label_move_alike(
    slices: tuple[np.ndarray, np.ndarray], config: AugmentConfig, patch: int | None
) -> None:
    image, label = augment(*slices, config, rng(2), patch=patch)
    middle = (image[label == 1].mean() + image[(image > -1) & (label == 0)].mean()) / 2
    smooth = torch.nn.functional.avg_pool2d(image, 3, 1, 1) > middle
    overlap = 2 * (smooth & (label == 1)).sum() / (smooth.sum() + label.sum())
    assert overlap > 0.85


def test_grey_values_change_inside_the_brain_only(slices: tuple[np.ndarray, np.ndarray]) -> None:
    unit = (network_image(slices[0]) + 1) / 2
    strong = replace(RICH, shading=1.0, blur=1.0, noise=1.0, brightness=0.2)
    changed = change_grey(unit, strong, torch.Generator().manual_seed(0))
    assert (changed[unit == 0] == 0).all()
    assert (changed != unit)[unit > 0].float().mean() > 0.9


def test_the_rim_is_not_darkened_by_moving() -> None:
    flat = np.zeros((4, 240, 240), np.uint8)
    flat[:, 60:180, 70:170] = 100
    image, _ = augment(flat, flat * 0, replace(NONE, rotation=0.4), rng())
    inside = image[image > -1]
    assert inside.min() > 100 / 127.5 - 1 - 1e-3


def test_what_the_window_cut_off_never_looks_like_blood() -> None:
    unit = torch.full((64, 1, 8, 8), 0.8)
    unit[:, :, :4] = 1.0
    changed = change_grey(unit, replace(NONE, contrast=0.27, offset=0.06), torch.Generator().manual_seed(0))
    blood = changed[:, :, 4:].flatten(1).mean(1)
    assert blood.min() < 0.7 and blood.max() > 0.9, "contrast changes"
    assert (changed[:, :, :4] > 0.99).all()


def test_patches_show_the_lesion(slices: tuple[np.ndarray, np.ndarray]) -> None:
    _, label = augment(*slices, RICH, rng(3), patch=96)
    assert (label.sum((1, 2, 3)) > 50).all()


def test_patches_without_a_lesion_show_brain(slices: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = augment(slices[0], slices[1] * 0, RICH, rng(3), patch=64)
    assert label.sum() == 0
    assert ((image > -1).float().mean((1, 2, 3)) > 0.15).all()


def test_empty_slices_and_patches_larger_than_the_slice_are_possible() -> None:
    empty = np.zeros((2, 32, 32), np.uint8)
    image, label = augment(empty, empty, RICH, rng(), patch=48)
    assert image.shape == (2, 1, 48, 48)
    assert (image == -1).all()
    assert not label.any()


def test_stripping_takes_one_to_three_pixels_from_outside_only() -> None:
    image = np.zeros((60, 40, 40), np.uint8)
    image[:, 8:32, 10:30] = 90
    image[:, 20, 20] = 0
    stripped = strip_rims(image, 1.0, rng())
    widths = np.count_nonzero(stripped[:, 12], axis=1)
    assert set(widths.tolist()) == {18, 16, 14}
    assert (stripped[:, 19:22, 19:22] > 0).sum() == 60 * 8, "a hole within does not grow"
    assert np.array_equal(strip_rims(image, 0.0, rng()), image)


def test_the_same_generator_gives_the_same_and_another_does_not(slices: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = (augment(*slices, RICH, rng(seed), patch=64)[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_each_change_of_grey_values_changes_them() -> None:
    unit = torch.rand(32, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.1
    for name in ("contrast", "offset", "shading", "blur", "sharpen", "noise", "ceiling"):
        strength = 0.3 if name in ("contrast", "offset") else 1.0
        changed = change_grey(unit, replace(NONE, **{name: strength}), torch.Generator().manual_seed(1))
        assert ((changed - unit).abs().amax((1, 2, 3)) > 1e-4).float().mean() > 0.9, name


@pytest.mark.parametrize("setting", [{"flip_lr": 1.2}, {"noise": -0.1}, {"rotation": -1.0}, {"brightness": 1.0}])
def test_impossible_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected a"):
        AugmentConfig(**setting)
