from dataclasses import replace

import numpy as np
import pytest
from helpers.ellipsoid_head import dice
from helpers.evidence import evidence_of, sheared

from amd_das.errors import GeometryError
from amd_das.interaction import Corrector, Evidence, InteractionConfig, Marks, from_clicks, from_strokes
from amd_das.volume import Volume

Click = tuple[int, int, int]


def distances_mm(volume: Volume, voxels: np.ndarray, click: Click) -> np.ndarray:
    """From a click to each of (n, 3) voxels, by the affine."""
    return np.linalg.norm((voxels - np.array(click)) @ volume.affine[:3, :3].T, axis=1)


def nothing(volume: Volume) -> np.ndarray:
    return np.zeros(volume.shape, np.uint8)


def ball(volume: Volume, centre: Click, radius_mm: float) -> np.ndarray:
    voxels = np.argwhere(np.ones(volume.shape, bool))
    return (distances_mm(volume, voxels, centre) < radius_mm).reshape(volume.shape)


def test_one_click_finds_the_whole_of_a_missed_bleed(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    found = Corrector(evidence, nothing(volume)).correct(from_clicks([middle], [], volume.shape))
    assert (found.shape, found.dtype) == (volume.shape, np.uint8)
    assert set(np.unique(found)) == {0, 1}
    assert dice(found != 0, blood) > 0.9
    assert len(np.unique(np.argwhere(found)[:, 2])) == len(np.unique(np.argwhere(blood)[:, 2]))


def test_on_a_sheared_turned_and_flipped_scan_too(volume: Volume, blood: np.ndarray, middle: Click) -> None:
    tilted = sheared(volume)
    i, j, k = volume.shape[0] - 1 - middle[0], middle[1], middle[2]
    corrector = Corrector(evidence_of(tilted), nothing(tilted), InteractionConfig(radius_mm=15.0))
    found = corrector.correct(from_clicks([(i, j, k)], [], tilted.shape)) != 0
    near = distances_mm(tilted, np.argwhere(found), (i, j, k))
    assert near.max() <= 15.0
    assert dice(found, blood[::-1] & ball(tilted, (i, j, k), 15.0)) > 0.85


def test_in_thin_slices_too(volume: Volume, blood: np.ndarray, middle: Click) -> None:
    thin = replace(
        volume,
        array=np.repeat(volume.array, 4, axis=2),
        affine=volume.affine @ np.diag([1, 1, 0.25, 1.0]),
    )
    clicks = from_clicks([(middle[0], middle[1], 4 * middle[2] + 1)], [], thin.shape)
    found = Corrector(evidence_of(thin), nothing(thin)).correct(clicks)
    assert dice(found != 0, np.repeat(blood, 4, axis=2)) > 0.9


def test_a_background_click_takes_a_false_lesion_away_and_leaves_the_true_one(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    i, j, k = middle
    centre = (i - 58, j, k)
    false = ball(volume, centre, 11.0)
    assert not (false & blood).any()
    found = Corrector(evidence, blood | false).correct(from_clicks([], [centre], volume.shape))
    np.testing.assert_array_equal(found != 0, blood)


def test_a_false_part_that_hangs_on_the_true_lesion_goes_without_it(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    i, j, k = middle
    centre = (i, j + 27, k)
    false = ball(volume, centre, 15.0) & ~blood
    start = blood | false
    found = Corrector(evidence, start).correct(from_clicks([], [centre], volume.shape)) != 0
    assert (found & false).sum() < 0.15 * false.sum()
    assert (found & blood).sum() > 0.95 * blood.sum()


def test_a_click_at_the_rim_leaves_the_lesion(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    _, j, k = middle
    edge = max(n for n in range(volume.shape[0]) if blood[n, j, k])
    found = Corrector(evidence, blood).correct(from_clicks([], [(edge, j, k)], volume.shape)) != 0
    assert not found[edge, j, k]
    assert found.sum() > 0.9 * blood.sum()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_clicked_clicks_are_obeyed_and_nothing_far_changes(
    evidence: Evidence, volume: Volume, blood: np.ndarray, seed: int
) -> None:
    random = np.random.default_rng(seed)
    clicks = [tuple(int(n) for n in random.integers(0, volume.shape)) for _ in range(6)]
    inside = [tuple(int(n) for n in random.choice(np.argwhere(blood))) for _ in range(2)]
    foreground, background = [*clicks[:3], inside[0]], [*clicks[3:], inside[1]]
    config = InteractionConfig(radius_mm=12.0)
    found = Corrector(evidence, blood, config).correct(from_clicks(foreground, background, volume.shape))
    assert all(found[click] == 1 for click in foreground)
    assert all(found[click] == 0 for click in background)
    changed = np.argwhere((found != 0) != blood)
    nearest = np.min([distances_mm(volume, changed, click) for click in (*foreground, *background)], axis=0)
    assert nearest.max() <= 12.0


def test_the_order_of_clicks_means_nothing_and_the_result_is_the_same_every_time(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    i, j, k = middle
    foreground, background = [middle, (i - 6, j, k), (i, j + 5, k + 1)], [(i + 14, j, k), (i - 30, j, k)]
    corrector = Corrector(evidence, nothing(volume))
    once = corrector.correct(from_clicks(foreground, background, volume.shape))
    one_by_one = Corrector(evidence, nothing(volume))
    for n in range(3):
        one_by_one.correct(from_clicks(foreground[: n + 1], [], volume.shape))
    again = one_by_one.correct(from_clicks(foreground[::-1], background[::-1], volume.shape))
    np.testing.assert_array_equal(once, again)
    assert once.any()


def test_the_sides_meet_between_a_foreground_and_a_background_click(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    i, j, k = middle
    found = Corrector(evidence, blood).correct(from_clicks([(i - 9, j, k)], [(i + 9, j, k)], volume.shape))
    assert found[i - 9 - 3 : i - 9 + 4, j, k].all()
    assert not found[i + 9 - 3 : i + 9 + 4, j, k].any()


def test_no_marks_leave_the_mask_alone(evidence: Evidence, volume: Volume, blood: np.ndarray) -> None:
    np.testing.assert_array_equal(Corrector(evidence, blood).correct(Marks()), blood)


def test_strokes_are_obeyed_voxel_by_voxel(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    i, j, k = middle
    fore, back = np.zeros(volume.shape, bool), np.zeros(volume.shape, bool)
    fore[i - 8 : i + 8, j - 1 : j + 1, k] = True
    back[i - 40 : i - 30, j, k - 1 : k + 1] = True
    found = Corrector(evidence, nothing(volume)).correct(from_strokes(fore, back))
    assert found[fore].all()
    assert not found[back].any()
    assert dice(found != 0, blood) > 0.9


def test_probabilities_count_where_hu_do_not(evidence: Evidence, volume: Volume, middle: Click) -> None:
    """In brain of one density the network's opinion decides how far a click goes."""
    i, j, k = middle
    centre = (i - 58, j, k)
    lesion = ball(volume, centre, 9.0)
    sees = evidence_of(volume, 0.45 * lesion)
    click = from_clicks([centre], [], volume.shape)
    blind = Corrector(evidence, nothing(volume)).correct(click) != 0
    seeing = Corrector(sees, nothing(volume)).correct(click) != 0
    assert 0 < blind.sum() < 0.3 * lesion.sum()
    assert not (seeing & ~ball(volume, centre, 12.0)).any()


def test_bone_beside_blood_is_not_grown_into(
    evidence: Evidence, volume: Volume, blood: np.ndarray, middle: Click
) -> None:
    found = Corrector(evidence, nothing(volume)).correct(from_clicks([middle], [], volume.shape)) != 0
    assert (volume.array[found] > 200).sum() == 0


def test_a_mask_of_another_grid_is_refused(evidence: Evidence) -> None:
    with pytest.raises(GeometryError, match="has shape \\(3, 3, 3\\)"):
        Corrector(evidence, np.zeros((3, 3, 3), np.uint8))
