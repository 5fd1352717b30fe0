"""What the listener keeps is whole, bounded, and found again."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_series import ct_slice
from helpers.running_orthanc import with_meta
from pydicom.dataset import Dataset

from amd_das.errors import ConfigError
from amd_das.listener.arrivals import Arrivals
from amd_das.listener.spool import Spool, SpoolFullError, instance_name, ordered_names


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", max_bytes=100_000)
    yield spool
    spool.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def keep(spool: Spool, series: str, *names: str, size: int = 1000) -> str:
    """Instances of a series, sent and ended; returns the fingerprint."""
    spool.begin(series)
    for name in names:
        spool.add(series, f"{name}.dcm", name.encode() * (size // len(name)))
    spool.end(series)
    return spool.content(series)


def test_an_instance_is_kept_once_and_its_name_tells_nothing(spool: Spool) -> None:
    name = instance_name("1.2.3.4")
    assert "1.2.3" not in name and name == instance_name("1.2.3.4") != instance_name("1.2.3.5")
    spool.begin("a")
    assert spool.add("a", name, b"content")
    before = spool.content("a")
    assert not spool.add("a", name, b"content")
    assert spool.content("a") == before
    time.sleep(0.01)
    assert spool.add("a", name, b"changed")
    assert spool.content("a") != before
    assert [path.read_bytes() for path in spool.files("a")] == [b"changed"]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    keep(spool, "a", "1")
    spool.begin("empty")
    (tmp_path / "spool" / "unfinished" / "half").write_bytes(b"half of it")
    spool.close()
    again = Spool(tmp_path / "spool")
    assert again.series() == ["a"]
    assert list((tmp_path / "spool" / "unfinished").iterdir()) == []
    again.close()


def test_room_is_made_of_what_is_done_oldest_first_and_never_of_what_waits(spool: Spool) -> None:
    for series in ("done-1", "done-2", "waiting"):
        content = keep(spool, series, "x", size=30_000)
        if series.startswith("done"):
            spool.mark_done(series, content)
            time.sleep(0.02)
    keep(spool, "new", "y", size=30_000)
    assert spool.series() == ["done-2", "new", "waiting"]
    keep(spool, "newer", "y", size=30_000)
    with pytest.raises(SpoolFullError, match="the spool holds"):
        spool.make_room(30_000)
    assert spool.series() == ["new", "newer", "waiting"]
    assert spool.used <= 100_000


def test_a_series_that_changes_is_not_done_any_more(spool: Spool) -> None:
    content = keep(spool, "a", "1")
    spool.mark_done("a", content)
    assert spool.is_done("a")
    keep(spool, "a", "2")
    assert not spool.is_done("a")
    spool.mark_done("a", content)
    assert not spool.is_done("a"), "the result was of something else"


def test_a_refused_series_comes_back_with_more_of_it(spool: Spool) -> None:
    content = keep(spool, "a", "1", "2")
    spool.begin("a")
    assert not spool.refuse("a", content, {"detail": "lacks slices"}), "more may be coming"
    spool.end("a")
    assert spool.refuse("a", content, {"detail": "lacks slices"})
    assert spool.series() == [] and spool.has("a")
    assert json.loads((spool.refused / "a" / "reason.json").read_text()) == {"detail": "lacks slices"}
    keep(spool, "a", "3")
    assert len(spool.files("a")) == 3
    assert not list(spool.refused.iterdir())


def test_old_things_expire(spool: Spool) -> None:
    spool.mark_done("a", keep(spool, "a", "1"))
    spool.refuse("b", keep(spool, "b", "1"), {})
    keep(spool, "c", "1")
    spool.expire()
    assert spool.series() == ["a", "c"] and spool.has("b")
    spool.keep_seconds = spool.refused_seconds = -1.0
    spool.expire()
    assert spool.series() == ["c"] and not spool.has("b")


def test_results_are_sent_oldest_first_and_the_report_last(spool: Spool) -> None:
    slices = [with_meta(ct_slice(np.zeros((8, 8), np.int16), series_uid="1.2.3")) for _ in range(4)]
    objects: dict[str, list[Dataset]] = {"sr": slices[:1], "sc": slices[1:3], "seg": slices[3:]}
    names = ordered_names(objects)
    assert list(names) == ["0000-seg.dcm", "0001-sc.dcm", "0002-sc.dcm", "0003-sr.dcm"]
    spool.publish("first", names, {"volume_ml": 1.5})
    time.sleep(0.01)
    spool.publish("second", {}, {})
    assert [folder.name for folder in spool.results()] == ["first", "second"]
    first = spool.results()[0]
    assert spool.record(first) == {"volume_ml": 1.5}
    used = spool.used
    spool.remove_sent(first / "0000-seg.dcm")
    assert spool.used < used
    spool.drop_result(first)
    assert [folder.name for folder in spool.results()] == ["second"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .* as spool folder"):
        Spool(tmp_path / "file" / "spool")


def test_a_series_is_complete_after_quiet_and_not_while_a_sender_is_connected(spool: Spool) -> None:
    clock = Clock()
    arrivals = Arrivals(spool, quiet_s=5.0, broken_quiet_s=60.0, clock=clock)
    arrivals.receive("one", "a", "1.dcm", b"1")
    arrivals.receive("two", "a", "2.dcm", b"2")
    arrivals.ended("one", released=True)
    clock.now = 100.0
    assert arrivals.complete() == []
    arrivals.ended("two", released=True)
    clock.now = 104.0
    assert arrivals.complete() == []
    clock.now = 105.0
    assert arrivals.complete() == [("a", False)]
    assert arrivals.settle("a") and arrivals.under_way == 0


def test_after_a_broken_connection_or_a_crash_it_takes_longer(spool: Spool) -> None:
    clock = Clock()
    arrivals = Arrivals(spool, quiet_s=5.0, broken_quiet_s=60.0, clock=clock)
    arrivals.receive("one", "a", "1.dcm", b"1")
    after_crash = Arrivals(spool, quiet_s=5.0, broken_quiet_s=60.0, clock=clock)
    arrivals.ended("one", released=False)
    arrivals.ended("one", released=True)
    for state in (arrivals, after_crash):
        clock.now = 59.0
        assert state.complete() == []
        clock.now = 60.0
        assert state.complete() == [("a", True)]
        clock.now = 0.0
    arrivals.receive("again", "a", "2.dcm", b"2")
    arrivals.ended("again", released=True)
    clock.now = 5.0
    assert arrivals.complete() == [("a", False)], "the second try was whole"
