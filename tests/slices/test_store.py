"""Reading a slice store: what was appended, mapped, and as the networks see it."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.stored_cases import a_case, write

from amd_das.errors import ConfigError, NotFoundError
from amd_das.slices import SliceStore, SliceWriter, bright_pixels, lesion_pixels, network_image, network_label


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


def test_an_empty_store_opens(tmp_path: Path) -> None:
    SliceWriter(tmp_path, "target", labelled=False).close()
    store = SliceStore.open(tmp_path)
    assert (len(store), store.images.shape, store.cases) == (0, (0, 240, 240), ())


def test_a_store_reads_while_a_line_is_being_written(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"case": "b", "pat')
    assert [case.case for case in SliceStore.open(tmp_path).cases] == ["a"]


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
    images[0, 50:100, 50:100] = 80
    images[0, 70, 70:75] = (119, 120, 121, 200, 255)
    assert lesion_pixels(images) == (3, 0)
    assert lesion_pixels(images, np.ones_like(images)) == (240 * 240, 240 * 240)


def test_the_rim_where_bone_shines_in_is_not_counted_but_what_lies_on_a_ventricle_is() -> None:
    images = np.zeros((1, 240, 240), np.uint8)
    images[0, 50:100, 50:100] = 200
    images[0, 75, 75] = 0
    assert bright_pixels(images).sum() == 46 * 46 - 1
    assert not bright_pixels(images)[0, :52].any()
