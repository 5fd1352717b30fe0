"""Fingerprints: equal to the paper's formulas step by step, and the same however they are computed."""

from pathlib import Path

import numpy as np
import pytest
from helpers.slice_stores import brains
from scipy.fft import dctn

from amd_das.matching import fingerprint
from amd_das.matching.fingerprint import fingerprints


def reference(image: np.ndarray) -> int:
    """Halve every pixel, average 15 × 15 halves into each of 32 × 32, transform, compare with the mean."""
    halves = image.astype(float).repeat(2, axis=0).repeat(2, axis=1)
    block = dctn(halves.reshape(32, 15, 32, 15).mean(axis=(1, 3)), type=2, norm="ortho")[:8, :8].ravel()
    mean = sum(block) / 64
    return sum(1 << place for place, value in enumerate(block) if value > mean)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (7, 240, 240), np.uint8)
    return np.concatenate([brains(12, seed=0)[0], noise])


def test_fingerprints_are_those_of_the_formulas(images: np.ndarray) -> None:
    found = fingerprints(images)
    assert found.dtype == np.uint64
    assert found.tolist() == [reference(image) for image in images]
    assert len(set(found.tolist())) > 10


def test_a_black_slice_has_no_bit_and_a_plain_one_the_first() -> None:
    plain = np.zeros((2, 240, 240), np.uint8)
    plain[1] = 77
    assert fingerprints(plain).tolist() == [0, 1]


def test_bits_go_row_by_row_from_the_constant() -> None:
    wave = 1 + np.cos((np.arange(240) + 0.5) / 240 * np.pi * 3)
    across = np.rint(np.broadcast_to(60 * wave, (240, 240))).astype(np.uint8)
    found = fingerprints(np.stack([across, across.T])).tolist()
    assert found == [1 | 1 << 3, 1 | 1 << 24]


def test_what_equals_the_mean_but_for_rounding_is_no_bit() -> None:
    block = np.full((1, 64), 5.0)
    block[0, ::2] += 1e-11
    assert fingerprint._packed(block).tolist() == [0]
    block[0, 63] = 6.0
    assert fingerprint._packed(block).tolist() == [1 << 63]


def test_a_symmetric_slice_and_its_mirror_image_are_alike() -> None:
    half = np.random.default_rng(0).integers(0, 256, (3, 240, 120), np.uint8)
    whole = np.concatenate([half, half[..., ::-1]], axis=2)
    assert fingerprints(whole).tolist() == fingerprints(np.ascontiguousarray(whole[..., ::-1])).tolist()


def test_brightness_does_not_matter(images: np.ndarray) -> None:
    half = images // 2
    assert fingerprints(half).tolist() == fingerprints(half * 2).tolist()


@pytest.mark.parametrize(("chunk", "batch"), [(1, 1), (3, 2), (4, 5), (100, 100)])
def test_chunks_do_not_matter(images: np.ndarray, chunk: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fingerprints(images).tolist()
    monkeypatch.setattr(fingerprint, "_CHUNK", chunk)
    monkeypatch.setattr(fingerprint, "_BATCH", batch)
    assert fingerprints(images).tolist() == expected


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_file_gives_the_same_and_stays_as_it_is(images: np.ndarray, mode: str, tmp_path: Path) -> None:
    images.tofile(tmp_path / "images.u8")
    mapped = np.memmap(tmp_path / "images.u8", np.uint8, mode, shape=images.shape)
    changed = images.copy()
    if mode != "r":
        mapped[0] = changed[0] = 9  # a private map would lose this if its pages were let go
    assert fingerprints(mapped).tolist() == fingerprints(changed).tolist()
    assert fingerprints(mapped[2:5]).tolist() == fingerprints(changed[2:5]).tolist()
    assert np.array_equal(mapped, changed)


def test_no_slices_have_no_fingerprints() -> None:
    assert fingerprints(np.zeros((0, 240, 240), np.uint8)).shape == (0,)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 240, 239), np.uint8), np.zeros((240, 240), np.uint8), np.zeros((1, 240, 240))]
)
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 240, 240\) uint8, got"):
        fingerprints(wrong)


def test_the_caller_hears_how_far_it_is_and_can_end_it(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_CHUNK", 8)
    heard: list[int] = []
    fingerprints(images, after=heard.append)
    assert heard == [8, 16, 19]

    def end(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fingerprints(images, after=end)
