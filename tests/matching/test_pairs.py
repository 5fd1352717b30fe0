"""Matching two stores, and the file of it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.slice_stores import write_store

from amd_das.errors import ConfigError, NotFoundError, TrainingError, TrainingStopped
from amd_das.matching import MatchConfig, Matches, match
from amd_das.matching.fingerprint import fingerprints
from amd_das.matching.similarity import hamming
from amd_das.slices import SliceStore


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return write_store(tmp_path_factory.mktemp("source"), "source", count=9, seed=0, labelled=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return write_store(tmp_path_factory.mktemp("target"), "target", count=12, seed=1, labelled=False)


@pytest.fixture(scope="module")
def matches(source: SliceStore, target: SliceStore) -> Matches:
    return match(source, target, MatchConfig(candidates=5))


def test_candidates_are_those_of_smallest_distance(source: SliceStore, target: SliceStore, matches: Matches) -> None:
    pairs = np.repeat(np.arange(9), 12), np.tile(np.arange(12), 9)
    d_ham = hamming(fingerprints(source.images)[pairs[0]], fingerprints(target.images)[pairs[1]])
    bright = (np.asarray(target.images) > 120).sum(axis=(1, 2))
    assert source.labels is not None
    tumour = np.asarray(source.labels).sum(axis=(1, 2), dtype=int)
    sim = (100 * d_ham + abs(tumour[pairs[0]] - bright[pairs[1]])).reshape(9, 12)
    assert np.array_equal(matches.nearest_ct, np.argsort(sim, axis=1, kind="stable")[:, :5])
    assert np.array_equal(matches.distance, np.sort(sim, axis=1)[:, :5])
    assert np.array_equal(matches.nearest_mri, sim.argmin(axis=0))
    assert matches.matched_source.tolist() == sorted(set(matches.nearest_mri.tolist()))


def test_the_order_is_the_same_every_time(source: SliceStore, target: SliceStore, matches: Matches) -> None:
    again = match(source, target, MatchConfig(candidates=5))
    assert np.array_equal(again.nearest_ct, matches.nearest_ct)
    assert np.array_equal(again.nearest_mri, matches.nearest_mri)


def test_a_store_is_nearest_to_itself(source: SliceStore) -> None:
    own = match(source, source, MatchConfig(candidates=1, lesion_threshold=199))
    assert own.nearest_ct[:, 0].tolist() == own.nearest_mri.tolist() == list(range(9))
    assert not own.distance.any()


def test_fewer_cts_than_candidates_are_all_kept(source: SliceStore, target: SliceStore) -> None:
    assert match(source, target).nearest_ct.shape == (9, 12)


def test_labels_of_the_target_take_no_part(source: SliceStore, target: SliceStore, tmp_path: Path) -> None:
    labelled = write_store(tmp_path, "target", count=12, seed=1, labelled=True)
    assert np.array_equal(labelled.images, target.images)
    for threshold in (120, 80):  # above 80 there is more than the lesion
        config = MatchConfig(candidates=5, lesion_threshold=threshold)
        with_labels, without = match(source, labelled, config), match(source, target, config)
        assert np.array_equal(with_labels.distance, without.distance)


def test_the_threshold_decides_what_is_lesion(source: SliceStore, target: SliceStore, matches: Matches) -> None:
    other = match(source, target, MatchConfig(candidates=5, lesion_threshold=80))
    assert not np.array_equal(other.distance, matches.distance)


def test_progress_goes_up_to_the_end(source: SliceStore, target: SliceStore) -> None:
    heard: list[tuple[int, int, str]] = []
    match(source, target, progress=lambda *said: heard.append(said))
    done = [count for count, _, _ in heard]
    assert done == sorted(done)
    assert {total for _, total, _ in heard} == {done[-1]}
    assert next(what for _, _, what in heard) == "fingerprints of the MRIs"


def test_it_stops_when_asked_to(source: SliceStore, target: SliceStore) -> None:
    answers = iter([False, True])
    with pytest.raises(TrainingStopped, match="stopped"):
        match(source, target, should_stop=lambda: next(answers))


@pytest.mark.parametrize("empty", ["source", "target"])
def test_an_empty_store_is_refused(empty: str, source: SliceStore, target: SliceStore, tmp_path: Path) -> None:
    stores = {"source": source, "target": target}
    stores[empty] = write_store(tmp_path, empty, count=0, seed=0, labelled=empty == "source")
    with pytest.raises(TrainingError, match=f"no {empty} slices in .*prepare at least one scan"):
        match(**stores)


def test_a_source_without_labels_is_refused(source: SliceStore, target: SliceStore) -> None:
    with pytest.raises(TrainingError, match=r"no labels.*name the labelled MRI first"):
        match(target, source)


def test_a_file_gives_back_what_was_written(matches: Matches, tmp_path: Path) -> None:
    path = matches.save(tmp_path / "matches.npz")
    again = Matches.load(path)
    for name in ("nearest_ct", "distance", "nearest_mri"):
        assert np.array_equal(getattr(again, name), getattr(matches, name))
        assert getattr(again, name).dtype == np.int32
    assert again.config == MatchConfig(candidates=5)
    assert again.matched_source.tolist() == matches.matched_source.tolist()
    assert [item.name for item in tmp_path.iterdir()] == ["matches.npz"]


def test_matches_know_their_stores(matches: Matches, source: SliceStore, target: SliceStore, tmp_path: Path) -> None:
    again = Matches.load(matches.save(tmp_path / "matches.npz"))
    again.check(source, target)
    with pytest.raises(ConfigError, match=r"of other target slices.*match again"):
        again.check(source, source)


def test_nothing_in_the_file_is_pickled(matches: Matches, tmp_path: Path) -> None:
    path = matches.save(tmp_path / "matches.npz")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            array = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert not array.dtype.hasobject


def bad_file(path: Path, matches: Matches, fault: str) -> None:
    """Something that is no file of matches."""
    matches.save(path)
    with np.load(path) as file:
        arrays: dict[str, Any] = dict(file)
    if fault == "pickled":
        arrays["distance"] = np.array([{"a": 1}], object)
    elif fault == "absent":
        del arrays["distance"]
    elif fault == "outside":
        arrays["nearest_ct"] = arrays["nearest_ct"] + np.int32(100)
    elif fault == "negative":
        arrays["nearest_mri"] = arrays["nearest_mri"] - np.int32(100)
    elif fault == "kind":
        arrays["distance"] = arrays["distance"].astype(float)
    elif fault == "version":
        arrays["about"] = np.array(str(arrays["about"]).replace('"version": 1', '"version": 2'))
    elif fault == "setting":
        arrays["about"] = np.array(str(arrays["about"]).replace("hamming_weight", "weight"))
    if fault == "text":
        path.write_text("not a file of arrays")
    elif fault == "array":
        with path.open("wb") as open_file:
            np.save(open_file, np.arange(3))
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif fault == "nothing":
        path.write_bytes(b"")
    else:
        np.savez(path, **arrays)


@pytest.mark.parametrize(
    "fault",
    ["pickled", "absent", "outside", "negative", "kind", "version", "setting", "text", "array", "cut", "nothing"],
)
def test_another_file_is_refused(fault: str, matches: Matches, tmp_path: Path) -> None:
    path = tmp_path / "matches.npz"
    bad_file(path, matches, fault)
    with pytest.raises(ConfigError, match="is no file of matches"):
        Matches.load(path)


def test_an_absent_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist; make it with"):
        Matches.load(tmp_path / "matches.npz")


@pytest.mark.parametrize(
    "wrong", [{"candidates": 0}, {"hamming_weight": -1}, {"hamming_weight": 10**6}, {"lesion_threshold": 256}]
)
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} .*: expected"):
        MatchConfig(**wrong)
