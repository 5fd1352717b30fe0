from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers.ellipsoid_head import Head, make_head

from amd_das.errors import GeometryError, NotHeadCtError
from amd_das.preprocessing.hu import check_brain, check_head_ct
from amd_das.volume import Volume


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head()


def volume_of(array: np.ndarray) -> Volume:
    return Volume(array=array.astype(np.float32), affine=np.eye(4), case_id="test")


def test_a_head_ct_is_returned_as_it_is(head: Head) -> None:
    volume = head.volume()
    assert check_head_ct(volume) is volume


@pytest.mark.parametrize("window", [(0, 100), (0, 80), (-20, 100), (-100, 200)])
def test_a_clipped_head_ct_is_accepted_with_a_warning(head: Head, window: tuple[int, int]) -> None:
    checked = check_head_ct(head.clipped(*window).volume())
    assert len(checked.warnings) == 1
    assert f"end at {window[1]} HU" in checked.warnings[0]


@pytest.mark.parametrize("background", [0, -1024])
def test_a_stripped_skull_is_accepted(head: Head, background: int) -> None:
    assert check_head_ct(head.stripped(background).volume()).array is not None


@pytest.mark.parametrize("padding", [-2048, -3024])
def test_padding_outside_the_scanners_circle_is_accepted(head: Head, padding: int) -> None:
    hu = head.hu.copy()
    hu[:, :20] = padding
    assert check_head_ct(replace(head, hu=hu).volume()).warnings == ()


@pytest.mark.parametrize("height_mm", [-45.0, 0.0, 60.0])
def test_a_single_slice_is_accepted_at_any_height(height_mm: float) -> None:
    assert check_head_ct(make_head((1, 160, 160), height_mm=height_mm).volume()).warnings == ()


def as_mr(head: Head) -> np.ndarray:
    signal = np.where(head.inside, 340.0 + 2 * head.hu, 30.0 * (head.hu > -500))
    return np.abs(signal + np.random.default_rng(1).normal(0, 8, head.hu.shape))


def as_export(low: float, high: float) -> Callable[[Head], np.ndarray]:
    return lambda head: np.rint((head.hu.clip(low, high) - low) / (high - low) * 255)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (as_mr, "expected HU with brain at 15-60"),
        (lambda head: as_mr(head) / 900, "expected HU with brain at 15-60"),
        (as_export(0, 80), "most frequent foreground value is 1[01]"),
        (as_export(-20, 100), "most frequent foreground value is 1[01]"),
        (as_export(-450, 1050), "windowed 8-bit export"),
        (lambda head: np.where(head.inside, np.nan, head.hu), "voxels are NaN or infinite"),
        (lambda head: np.where(head.hu > 500, np.inf, head.hu), "voxels are NaN or infinite"),
        (lambda head: np.zeros_like(head.hu), "every voxel is 0"),
        (lambda head: np.where(head.hu > -2000, -1000, 0) + head.hu / 1000, "expected a brain in view"),
    ],
)
def test_what_is_no_head_ct_is_refused(head: Head, make: Callable[[Head], np.ndarray], message: str) -> None:
    with pytest.raises(NotHeadCtError, match=message):
        check_head_ct(volume_of(make(head)))


def test_four_dimensions_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"got shape \(4, 4, 4, 2\)"):
        check_head_ct(volume_of(np.zeros((4, 4, 4, 2))))


def test_an_extracted_brain_has_the_values_of_brain(head: Head) -> None:
    check_brain(head.hu, head.inside)
    for offset in (-33, 77):
        with pytest.raises(NotHeadCtError, match=f"median of {33 + offset}"):
            check_brain(head.hu + offset, head.inside)


def test_a_brain_all_around_the_image_is_background(head: Head) -> None:
    with pytest.raises(NotHeadCtError, match=r"expected air \(-1000 HU\) around a head"):
        check_brain(head.hu + 1024, ~head.inside)
