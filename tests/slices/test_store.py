"""The slice store: what is appended is read back, whatever happened in between."""

import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from amd_das.errors import ConfigError, NotFoundError, TrainingError
from amd_das.slices import CaseSlices, SliceStore, SliceWriter, lesion_pixels, network_image, network_label


def a_case(name: str, count: int = 2, seed: int = 0) -> tuple[CaseSlices, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, count])
    images = rng.integers(0, 256, (count, 240, 240), np.uint8)
    labels = (images > 200).astype(np.uint8)
    case = CaseSlices(
        case=name,
        patient=name,
        spacing_mm=(5.0, 0.5, 0.5),
        spacing_known=True,
        numbers=tuple(range(3, 3 + count)),
        brain_px=(240 * 240,) * count,
        lesion_px=lesion_pixels(images, labels),
        provenance={"file": f"{name}.nii.gz"},
    )
    return case, images, labels


def write(directory: Path, *names: str, **config: object) -> None:
    with SliceWriter(directory, "source", labelled=True, config=config) as writer:
        for name in names:
            writer.append(*a_case(name))


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    first, second = a_case("a", 2, seed=1), a_case("b", 3, seed=2)
    with SliceWriter(tmp_path / "new" / "store", "source", labelled=True, config={"every": 2}) as writer:
        writer.append(*first)
        writer.fail("c", "no brain")
        writer.append(*second)
        assert writer.done == {"a", "b", "c"}
        assert (set(writer.cases), writer.failures, writer.slices) == ({"a", "b"}, {"c": "no brain"}, 5)
    store = SliceStore.open(tmp_path / "new" / "store")
    assert (store.domain, store.config, len(store)) == ("source", {"every": 2}, 5)
    assert store.cases == (first[0], second[0])
    assert store.failures == {"c": "no brain"}
    assert store.labels is not None
    np.testing.assert_array_equal(store.images, np.concatenate([first[1], second[1]]))
    np.testing.assert_array_equal(store.labels, np.concatenate([first[2], second[2]]))
    assert store.case_index.tolist() == [0, 0, 1, 1, 1]
    assert store.lesion_px.tolist() == store.labels.sum(axis=(1, 2)).tolist()
    assert store.brain_px.dtype == store.lesion_px.dtype == store.case_index.dtype == np.int32
    assert isinstance(store.images, np.memmap)
    assert not store.images.flags.writeable


def test_an_unlabelled_store_has_no_labels(tmp_path: Path) -> None:
    case, images, labels = a_case("a")
    with SliceWriter(tmp_path, "target", labelled=False) as writer:
        with pytest.raises(ConfigError, match="labels are not expected"):
            writer.append(case, images, labels)
        writer.append(case, images)
    assert SliceStore.open(tmp_path).labels is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.u8", "index.jsonl"]


def test_an_empty_store_opens(tmp_path: Path) -> None:
    SliceWriter(tmp_path, "target", labelled=False).close()
    store = SliceStore.open(tmp_path)
    assert (len(store), store.images.shape, store.cases) == (0, (0, 240, 240), ())


@pytest.mark.parametrize("lost", ["index line", "pixels"])
def test_a_writer_goes_on_where_the_last_one_broke_off(lost: str, tmp_path: Path) -> None:
    write(tmp_path / "whole", "a", "b", "c")
    write(tmp_path / "broken", "a", "b")
    index, labels = tmp_path / "broken" / "index.jsonl", tmp_path / "broken" / "labels.u8"
    if lost == "index line":
        index.write_bytes(index.read_bytes()[:-20])
    else:
        os.truncate(labels, labels.stat().st_size - 1)
    with SliceWriter(tmp_path / "broken", "source", labelled=True) as writer:
        assert writer.done == {"a"}
    write(tmp_path / "broken", "b", "c")
    for name in ("index.jsonl", "images.u8", "labels.u8"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_store_reads_while_a_line_is_being_written(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"case": "b", "pat')
    assert [case.case for case in SliceStore.open(tmp_path).cases] == ["a"]


def test_a_full_disk_leaves_the_cases_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(tmp_path, "a")
    with SliceWriter(tmp_path, "source", labelled=True) as writer:
        with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r"No space left.* 1 cases before"):
            patch.setattr(os, "fsync", full)
            writer.append(*a_case("b"))
        assert [case.case for case in SliceStore.open(tmp_path).cases] == ["a"]
        assert (tmp_path / "images.u8").stat().st_size == 2 * 240 * 240
        writer.append(*a_case("b"))
    assert len(SliceStore.open(tmp_path)) == 4


def test_two_writers_do_not_write_one_store(tmp_path: Path) -> None:
    with (
        SliceWriter(tmp_path, "source", labelled=True),
        pytest.raises(TrainingError, match="another process is writing"),
    ):
        write(tmp_path, "a")
    write(tmp_path, "a")
    assert len(SliceStore.open(tmp_path)) == 2


def test_a_failed_case_can_be_made_good(tmp_path: Path) -> None:
    with SliceWriter(tmp_path, "source", labelled=True) as writer:
        writer.fail("a", "unreadable")
        writer.append(*a_case("a"))
    store = SliceStore.open(tmp_path)
    assert (store.failures, [case.case for case in store.cases]) == ({}, ["a"])


def test_the_digest_follows_settings_and_cases_only(tmp_path: Path) -> None:
    write(tmp_path / "one", "a")
    write(tmp_path / "two", "a")
    write(tmp_path / "other settings", "a", every=2)
    digest = SliceStore.open(tmp_path / "one").digest()
    assert SliceStore.open(tmp_path / "two").digest() == digest
    assert SliceStore.open(tmp_path / "other settings").digest() != digest
    with SliceWriter(tmp_path / "one", "source", labelled=True) as writer:
        writer.fail("b", "unreadable")
    assert SliceStore.open(tmp_path / "one").digest() == digest
    write(tmp_path / "one", "c")
    assert SliceStore.open(tmp_path / "one").digest() != digest


def test_a_store_is_small_to_send_to_a_worker(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    sent = pickle.dumps(SliceStore.open(tmp_path))
    assert len(sent) < 1000
    assert pickle.loads(sent).digest() == SliceStore.open(tmp_path).digest()


def test_other_stores_are_not_written_to(tmp_path: Path) -> None:
    write(tmp_path, "a", every=1)
    with pytest.raises(ConfigError, match="made with every 1, now it is 2"):
        write(tmp_path, every=2)
    with pytest.raises(ConfigError, match="made with domain source, now it is target"):
        SliceWriter(tmp_path, "target", labelled=True, config={"every": 1})
    with pytest.raises(ConfigError, match="made with labelled True"):
        SliceWriter(tmp_path, "source", labelled=False, config={"every": 1})
    assert len(SliceStore.open(tmp_path)) == 2


def test_a_file_that_is_no_index_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("my notes")
    with pytest.raises(ConfigError, match="no index of slices"):
        write(tmp_path, "a")
    (tmp_path / "index.jsonl").write_text("my notes\n")
    with pytest.raises(ConfigError, match=r"line 1 of .* is damaged"):
        write(tmp_path, "a")
    assert (tmp_path / "index.jsonl").read_text() == "my notes\n"


def test_errors_on_reading(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no slices .*No such file.*amd-das prepare"):
        SliceStore.open(tmp_path)
    write(tmp_path, "a", "b")
    os.truncate(tmp_path / "images.u8", 240 * 240)
    with pytest.raises(ConfigError, match="holds 1 of the 4 slices"):
        SliceStore.open(tmp_path)
    header, line, _ = (tmp_path / "index.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "index.jsonl").write_text(header + line.replace('"numbers": [3, 4]', '"numbers": [3]'))
    with pytest.raises(ConfigError, match=r"line 2 .*different lengths"):
        SliceStore.open(tmp_path)
    (tmp_path / "index.jsonl").write_text(json.dumps({**json.loads(header), "version": 2}) + "\n")
    with pytest.raises(ConfigError, match=r"version 2 .* expected 'amd-das slices' version 1"):
        SliceStore.open(tmp_path)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    case, images, labels = a_case("a")
    with SliceWriter(tmp_path, "source", labelled=True) as writer:
        with pytest.raises(ConfigError, match="expected as many of each"):
            writer.append(case, images[:1], labels[:1])
        with pytest.raises(ConfigError, match=r"images of shape \(2, 120, 240\)"):
            writer.append(case, images[:, ::2], labels)
        with pytest.raises(ConfigError, match=r"labels of .* up to 1"):
            writer.append(case, images, labels * 255)
        with pytest.raises(ConfigError, match="labels are expected"):
            writer.append(case, images)
        writer.append(case, images, labels)
        with pytest.raises(ConfigError, match="already"):
            writer.append(case, images, labels)
    assert len(SliceStore.open(tmp_path)) == 2


def test_networks_see_one_channel_from_minus_one_to_one() -> None:
    images = np.zeros((2, 240, 240), np.uint8)
    images[1, 2, 3] = 255
    seen, label = network_image(images), network_label(images // 255)
    assert seen.shape == label.shape == (2, 1, 240, 240)
    assert seen.dtype == label.dtype == torch.float32
    assert (seen.min(), seen.max(), seen[1, 0, 2, 3]) == (-1, 1, 1)
    assert (label.sum(), label[1, 0, 2, 3]) == (1, 1)


def test_lesion_pixels_are_those_above_120_where_there_are_no_labels() -> None:
    images = np.zeros((2, 240, 240), np.uint8)
    images[0, 0, :5] = (119, 120, 121, 200, 255)
    assert lesion_pixels(images) == (3, 0)
    assert lesion_pixels(images, (images > 199).astype(np.uint8)) == (2, 0)
