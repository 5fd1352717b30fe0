"""Nearest slices: the same as two plain loops, ties and all."""

from typing import NamedTuple

import numpy as np
import pytest

from amd_das.matching import similarity
from amd_das.matching.similarity import MAX_WEIGHT, Nearest, hamming, nearest


class Slices(NamedTuple):
    fp: np.ndarray
    px: np.ndarray


def drawn(count: int, seed: int, *, kinds: int | None = None) -> Slices:
    """Random slices; with few `kinds` of fingerprints and sizes most distances tie."""
    rng = np.random.default_rng(seed)
    fp = rng.integers(0, 2**64, kinds or count, np.uint64)
    px = rng.integers(0, 57_601, kinds or count)
    return Slices(*(array[rng.integers(0, len(array), count)] if kinds else array for array in (fp, px)))


Lists = tuple[list[list[int]], list[list[int]], list[int]]


def reference(source: Slices, target: Slices, k: int, weight: int) -> Lists:
    """Candidates, their distances and the nearest sources, one pair after the other."""
    sources, targets = (list(zip(each.fp.tolist(), each.px.tolist(), strict=True)) for each in (source, target))
    sim = [[weight * bin(a ^ b).count("1") + abs(p - q) for b, q in targets] for a, p in sources]
    index = [sorted(range(len(row)), key=lambda j, row=row: (row[j], j))[:k] for row in sim]
    distance = [[row[j] for j in chosen] for row, chosen in zip(sim, index, strict=True)]
    nearest_source = [min(range(len(sim)), key=lambda i, j=j: (sim[i][j], i)) for j in range(len(targets))]
    return index, distance, nearest_source


def as_lists(found: Nearest) -> Lists:
    return found.index.tolist(), found.distance.tolist(), found.source.tolist()


@pytest.mark.parametrize("weight", [0, 1, 100, MAX_WEIGHT])
@pytest.mark.parametrize("k", [1, 20, 90])
@pytest.mark.parametrize("kinds", [None, 5, 1])
def test_the_same_as_two_loops(kinds: int | None, k: int, weight: int) -> None:
    source, target = drawn(70, 0, kinds=kinds), drawn(90, 1, kinds=kinds)
    found = nearest(*source, *target, k, hamming_weight=weight)
    assert as_lists(found) == reference(source, target, k, weight)
    assert found.index.dtype == found.distance.dtype == found.source.dtype == np.int32


@pytest.mark.parametrize("targets", [511, 513, 1100])
def test_the_same_with_more_targets_than_groups(targets: int) -> None:
    source, target = drawn(9, 0), drawn(targets, 1, kinds=40)
    assert as_lists(nearest(*source, *target, 20)) == reference(source, target, 20, 100)


@pytest.mark.parametrize(("rows", "groups"), [(1, 1), (7, 30), (1000, 33)])
def test_blocks_do_not_matter(rows: int, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = drawn(40, 2, kinds=6), drawn(101, 3, kinds=6)
    expected = as_lists(nearest(*source, *target, 20))
    monkeypatch.setattr(similarity, "_ROWS", rows)
    monkeypatch.setattr(similarity, "_GROUPS", groups)
    assert as_lists(nearest(*source, *target, 20)) == expected


def test_the_distance_is_a_hundred_a_bit_and_one_a_pixel() -> None:
    source = Slices(np.array([0b1011], np.uint64), np.array([30]))
    target = Slices(np.array([0b1011, 0b1000, 0, 2**64 - 1], np.uint64), np.array([500, 20, 30, 30]))
    found = nearest(*source, *target, 4)
    assert found.index.tolist() == [[1, 2, 0, 3]]
    assert found.distance.tolist() == [[2 * 100 + 10, 3 * 100, 470, 61 * 100]]


def test_fewer_targets_than_asked_for_are_all_of_them() -> None:
    source, target = drawn(3, 0), drawn(2, 1)
    assert nearest(*source, *target, 20).index.shape == (3, 2)
    assert sorted(nearest(*source, *target, 20).index[0].tolist()) == [0, 1]


def test_the_largest_distance_is_exact() -> None:
    source = Slices(np.array([0], np.uint64), np.array([0]))
    target = Slices(np.array([2**64 - 1] * 2, np.uint64), np.array([57_600, 57_599]))
    found = nearest(*source, *target, 2, hamming_weight=MAX_WEIGHT)
    assert found.distance.tolist() == [[64 * MAX_WEIGHT + 57_599, 64 * MAX_WEIGHT + 57_600]]


def test_hamming_distance_counts_bits() -> None:
    first = np.array([0, 5, 2**64 - 1, 2**63], np.uint64)
    second = np.array([0, 6, 0, 1], np.uint64)
    assert hamming(first, second).tolist() == [0, 2, 64, 2]
    assert hamming(second, first).tolist() == [0, 2, 64, 2]


@pytest.mark.parametrize(
    ("sources", "targets", "k", "weight", "message"),
    [
        (0, 3, 1, 1, "at least one source"),
        (3, 0, 1, 1, "at least one target"),
        (3, 3, 0, 1, "expected k ≥ 1"),
        (3, 3, 1, -1, "a weight of 0 to"),
        (3, 3, 1, MAX_WEIGHT + 1, "a weight of 0 to"),
    ],
)
def test_what_cannot_be_compared_is_refused(sources: int, targets: int, k: int, weight: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nearest(*drawn(sources, 0), *drawn(targets, 1), k, hamming_weight=weight)


def test_a_size_for_each_fingerprint_is_asked_for() -> None:
    source, target = drawn(3, 0), drawn(3, 1)
    with pytest.raises(ValueError, match="got 3 fingerprints and 2 sizes"):
        nearest(source.fp, source.px[:2], *target, 1)


def test_the_caller_hears_of_every_block() -> None:
    heard: list[int] = []
    nearest(*drawn(130, 0), *drawn(5, 1), 2, after=heard.append)
    assert heard == [64, 128, 130]
