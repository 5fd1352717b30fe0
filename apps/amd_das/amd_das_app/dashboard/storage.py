"""How much room the studies, the trainings, the cache and the models take."""

import os
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT_S: Final = 60.0
"""How long a count is shown before it is made again; trainings fill folders slowly, and counting reads them all."""


@dataclass(frozen=True, kw_only=True)
class FolderUse:
    """One folder."""

    name: str
    path: Path
    used: int
    """Bytes of its files."""

    files: int


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """One file system."""

    names: tuple[str, ...]
    """Of the folders on it."""

    free: int
    total: int

    @property
    def is_low(self) -> bool:
        """Less than 5 % or 5 GB: a training or a busy day may fill it (ours)."""
        return self.free < min(5e9, 0.05 * self.total) or self.free < 1e9


@dataclass(frozen=True, kw_only=True)
class Storage:
    """All of it, at one time."""

    folders: tuple[FolderUse, ...]
    disks: tuple[DiskUse, ...]


class StorageCount:
    """Counts now and then; any thread may ask."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """``folders``: name → folder; one that does not exist yet holds nothing."""
        self._folders = dict(folders)
        self._lock = threading.Lock()
        self._counted: tuple[float, Storage] | None = None

    def look(self) -> Storage:
        """At most :data:`KEPT_S` old."""
        with self._lock:
            if self._counted is None or time.monotonic() - self._counted[0] > KEPT_S:
                self._counted = (time.monotonic(), self._count())
            return self._counted[1]

    def _count(self) -> Storage:
        uses = tuple(FolderUse(name=name, path=path, **_use(path)) for name, path in self._folders.items())
        disks: dict[int, list[FolderUse]] = {}
        for use in uses:
            disks.setdefault(_existing(use.path).stat().st_dev, []).append(use)
        return Storage(folders=uses, disks=tuple(_disk(on_it) for on_it in disks.values()))


def _disk(uses: list[FolderUse]) -> DiskUse:
    room = shutil.disk_usage(_existing(uses[0].path))
    return DiskUse(names=tuple(use.name for use in uses), free=room.free, total=room.total)


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _use(path: Path) -> dict[str, int]:
    """Bytes and number of files; links are not followed, and what vanishes meanwhile is left out."""
    used = files = 0
    folders = [str(path)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        used += entry.stat(follow_symlinks=False).st_size
                        files += 1
        except OSError:
            continue
    return {"used": used, "files": files}
