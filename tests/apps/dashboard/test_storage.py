"""What fills the disk."""

from pathlib import Path

import pytest

from amd_das_app.dashboard import storage
from amd_das_app.dashboard.storage import DiskUse, StorageCount


def test_files_are_counted_and_links_are_not(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(bytes(1000))
    (tmp_path / "a" / "deep" / "two").write_bytes(bytes(500))
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    found = StorageCount({"A": tmp_path / "a", "B": tmp_path / "not" / "there"}).look()
    assert [(use.name, use.used, use.files) for use in found.folders] == [("A", 1500, 2), ("B", 0, 0)]
    (disk,) = found.disks
    assert disk.names == ("A", "B")
    assert 0 < disk.free < disk.total


def test_it_is_not_counted_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = StorageCount({"A": tmp_path})
    assert count.look().folders[0].used == 0
    (tmp_path / "one").write_bytes(bytes(10))
    assert count.look().folders[0].used == 0
    monkeypatch.setattr(storage, "KEPT_S", -1.0)
    assert count.look().folders[0].used == 10


@pytest.mark.parametrize(("free", "total", "low"), [(50e9, 100e9, False), (4e9, 100e9, True), (0.5e9, 8e9, True)])
def test_when_a_disk_is_nearly_full(free: int, total: int, low: bool) -> None:
    assert DiskUse(names=("A",), free=free, total=total).is_low is low
