"""Pairs of slices: every MRI once an epoch, CTs from its candidates, and the same batch whenever it is made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.slice_stores import brains, write_store

from amd_das.errors import ConfigError, TrainingError
from amd_das.matching.pairs import Matches
from amd_das.slices import SliceStore, network_image, network_label
from amd_das.synthesis.batches import PairConfig, _crop, matched_batches

SOURCES, TARGETS = 7, 5


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return write_store(tmp_path_factory.mktemp("source"), "source", count=SOURCES, seed=1, labelled=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return write_store(tmp_path_factory.mktemp("target"), "target", count=TARGETS, seed=2, labelled=False)


@pytest.fixture(scope="module")
def matches(source: SliceStore, target: SliceStore) -> Matches:
    """MRI n is like CTs n and n + 1."""
    candidates = (np.arange(SOURCES)[:, None] + np.arange(2)) % TARGETS
    return Matches(
        nearest_ct=candidates.astype(np.int32),
        distance=np.zeros((SOURCES, 2), np.int32),
        nearest_mri=np.zeros(TARGETS, np.int32),
        source_digest=source.digest(),
        target_digest=target.digest(),
    )


def found_in(images: torch.Tensor, store: SliceStore) -> list[int]:
    """Which slices of a store these are."""
    whole = network_image(store.images)
    return [next(n for n, image in enumerate(whole) if torch.equal(image, found)) for found in images]


def test_each_mri_comes_once_an_epoch_in_another_order(source, target, matches) -> None:
    batch_at = matched_batches(source, target, matches, PairConfig(), seed=0)
    seen = [number for step in range(SOURCES) for number in found_in(batch_at(step, 2).mri, source)]
    epochs = seen[:SOURCES], seen[SOURCES:]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(SOURCES))
    assert epochs[0] != epochs[1]


def test_the_label_is_the_mris_and_the_ct_one_of_its_candidates(source, target, matches) -> None:
    batch_at = matched_batches(source, target, matches, PairConfig(), seed=0)
    drawn: dict[int, set[int]] = {number: set() for number in range(SOURCES)}
    for step in range(20):
        mri, label, ct = batch_at(step, SOURCES)
        rows = found_in(mri, source)
        assert torch.equal(label, network_label(source.labels[rows]))
        for row, number in zip(rows, found_in(ct, target), strict=True):
            drawn[row].add(number)
    assert drawn == {row: set(matches.nearest_ct[row].tolist()) for row in range(SOURCES)}


def test_without_matching_any_ct_may_come(source, target) -> None:
    batch_at = matched_batches(source, target, None, PairConfig(matching=False), seed=0)
    assert {n for step in range(10) for n in found_in(batch_at(step, SOURCES).ct, target)} == set(range(TARGETS))


def test_a_batch_is_a_function_of_its_step(source, target, matches) -> None:
    config = PairConfig(flip=True, crop=160)
    first, second = (matched_batches(source, target, matches, config, seed=3) for _ in range(2))
    for _ in range(5):
        first(0, 2)
    forwards = [first(step, 2) for step in range(6)]
    backwards = [second(step, 2) for step in reversed(range(6))][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    another = matched_batches(source, target, matches, config, seed=4)
    assert any(not torch.equal(another(step, 2).mri, forwards[step].mri) for step in range(6))


def test_only_the_chosen_mris_come(source, target, matches) -> None:
    batch_at = matched_batches(source, target, matches, PairConfig(), seed=0, source_indices=np.array([4, 2]))
    assert {n for step in range(5) for n in found_in(batch_at(step, 2).mri, source)} == {2, 4}


def test_pairs_are_mirrored_together(source, target, matches) -> None:
    plain = matched_batches(source, target, matches, PairConfig(), seed=0)
    mirrored = matched_batches(source, target, matches, PairConfig(flip=True), seed=0)
    kinds = set()
    for step in range(8):
        for before, after in zip(zip(*plain(step, 2), strict=True), zip(*mirrored(step, 2), strict=True), strict=True):
            flipped = [torch.equal(a, b.flip(-1)) for a, b in zip(before, after, strict=True)]
            same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
            assert all(flipped) or all(same)
            kinds.add(all(same))
    assert kinds == {True, False}


@pytest.mark.parametrize("crop", [200, 64])
def test_a_window_is_the_same_for_both_and_lies_around_the_brain(crop: int) -> None:
    mri, ct = (image.copy() for image in brains(2, seed=5)[0])
    everything = (mri > 0) | (ct > 0)
    places = np.mgrid[:240, :240].astype(np.uint8)
    for seed in range(10):
        # Drawn from the same seed, the window shows where it lies: by rows first, then by columns.
        rows, columns = (_crop(np.stack((mri, place, ct)), crop, np.random.default_rng(seed)) for place in places)
        window = (slice(rows[1, 0, 0], rows[1, 0, 0] + crop), slice(columns[1, 0, 0], columns[1, 0, 0] + crop))
        assert np.array_equal(rows[0], mri[window]) and np.array_equal(rows[2], ct[window])
        if crop == 200:
            assert everything[window].sum() == everything.sum()
        else:
            box = [np.flatnonzero(everything.any(axis=axis)) for axis in (1, 0)]
            assert all(b[0] <= w.start and w.stop <= b[-1] + 1 for b, w in zip(box, window, strict=True))


def test_windows_are_dealt(source, target, matches) -> None:
    batch = matched_batches(source, target, matches, PairConfig(crop=64), seed=0)(0, 2)
    assert {tuple(images.shape) for images in batch} == {(2, 1, 64, 64)}
    assert _crop(np.zeros((3, 240, 240), np.uint8), 64, np.random.default_rng(0)).shape == (3, 64, 64)


def test_what_cannot_be_dealt_is_explained(source, target, matches, tmp_path: Path) -> None:
    empty = write_store(tmp_path / "empty", "target", count=0, seed=0, labelled=False)
    with pytest.raises(TrainingError, match="no target slice"):
        matched_batches(source, empty, matches, PairConfig(), seed=0)
    with pytest.raises(TrainingError, match="no source slice"):
        matched_batches(source, target, matches, PairConfig(), seed=0, source_indices=np.array([], np.int64))
    with pytest.raises(TrainingError, match="no labels"):
        matched_batches(target, source, matches, PairConfig(), seed=0)
    with pytest.raises(ConfigError, match="there are no matches"):
        matched_batches(source, target, None, PairConfig(), seed=0)
    with pytest.raises(ConfigError, match="other target slices"):
        matched_batches(source, source, matches, PairConfig(), seed=0)


@pytest.mark.parametrize("crop", [0, 6, 102, 244])
def test_impossible_windows_are_refused(crop: int) -> None:
    with pytest.raises(ConfigError, match=f"crop {crop}: expected None or a multiple of 4"):
        PairConfig(crop=crop)
