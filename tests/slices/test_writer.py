"""Writing a slice store: whole cases, whatever happens in between."""

import errno
import os
from pathlib import Path

import pytest
from helpers.stored_cases import a_case, write

from amd_das.errors import ConfigError, TrainingError
from amd_das.slices import SliceStore, SliceWriter


def test_an_unlabelled_store_has_no_labels(tmp_path: Path) -> None:
    case, images, labels = a_case("a")
    with SliceWriter(tmp_path, "target", labelled=False) as writer:
        with pytest.raises(ConfigError, match="labels are not expected"):
            writer.append(case, images, labels)
        writer.append(case, images)
    assert SliceStore.open(tmp_path).labels is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.u8", "index.jsonl"]


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
