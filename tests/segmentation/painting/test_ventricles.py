"""Wider ventricles: walls move outwards, tissue and lesions with them, the brain's rim stays."""

from dataclasses import replace

import numpy as np
from helpers.disc_slices import disc_slices
from scipy.ndimage import binary_dilation, distance_transform_edt, label

from amd_das.segmentation.painting import UNPAINTED, paint

WIDE = replace(UNPAINTED, hydrocephalus=1.0)
DARK = 15
Slices = tuple[np.ndarray, np.ndarray]


def with_two_ventricles(noise: float = 0.0) -> tuple[Slices, np.ndarray]:
    """A disc of tissue with a slit on each side of its middle; and where they lie."""
    images, labels = disc_slices(1, lesions=0.0, noise=noise)
    sides = np.zeros((2, *images.shape[1:]), bool)
    sides[0, 95:145, 108:114] = sides[1, 95:145, 126:132] = True
    images[0, sides.any(0)] = DARK
    return (images, labels), sides


def widened(slices: Slices, seed: int) -> Slices:
    return paint(*slices, WIDE, np.random.default_rng(seed))


def dark(image: np.ndarray) -> np.ndarray:
    return (image > 0) & (image < 38)


def test_walls_move_outwards_by_various_widths_and_both_sides_stay_apart() -> None:
    slices, sides = with_two_ventricles()
    before = dark(slices[0][0])
    areas = []
    for seed in range(12):
        after = dark(widened(slices, seed)[0][0])
        assert after[before].mean() > 0.97, "what was fluid stays fluid"
        assert label(after)[1] == 2, "the septum holds"
        assert not after[distance_transform_edt(~sides.any(0)) > 13].any()
        areas.append(after.sum() / before.sum())
    assert min(areas) < 2.5 and max(areas) > 3.5, areas


def test_a_lesion_moves_with_the_tissue_and_keeps_its_brightness() -> None:
    (images, labels), _ = with_two_ventricles()
    lesion = (slice(110, 122), slice(138, 150))
    images[0, *lesion], labels[0, *lesion] = 170, 1
    for seed in range(6):
        after, mask = widened((images, labels), seed)
        columns = np.nonzero(mask[0])[1]
        assert columns.mean() > np.nonzero(labels[0])[1].mean() + 0.5, "outwards"
        assert 0.4 < mask.sum() / labels.sum() <= 1.2, "pressed together at most"
        assert after[0][mask[0] > 0].mean() > 150
        assert not dark(after[0])[mask[0] > 0].any(), "fluid is no lesion"


def test_the_rim_and_what_is_far_stay_as_they_were_and_noise_goes_on() -> None:
    slices, sides = with_two_ventricles(noise=4.0)
    far = distance_transform_edt(~sides.any(0)) > 45
    rim = distance_transform_edt(slices[0][0] > 0) < 3
    after, _ = widened(slices, 3)
    assert np.array_equal(after[0][far | rim], slices[0][0][far | rim])
    new = dark(after[0]) & ~binary_dilation(sides.any(0), iterations=2)
    tissue = far & (slices[0][0] > 0) & ~rim
    assert 0.5 < after[0][new].std() / slices[0][0][tissue].std() < 1.5


def test_a_slice_without_ventricles_stays_as_it_is() -> None:
    images, labels = disc_slices(2, lesions=1.0)
    after, mask = widened((images, labels), 0)
    assert np.array_equal(after, images) and np.array_equal(mask, labels)
