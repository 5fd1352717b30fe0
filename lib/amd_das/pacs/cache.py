"""Series fetched from the PACS, kept for a while on disk: private, bounded, expired, shared by processes."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from amd_das.errors import CacheError, ConfigError
from amd_das.files import write_whole
from amd_das.pacs.series import SeriesInfo

logger = logging.getLogger(__name__)

CACHE_DIR_VARIABLE: Final = "AMD_DAS_CACHE_DIR"
"""Environment variable that names another folder."""

_RECORD, _FILES, _LOCK, _PART = "entry.json", "series", ".lock", ".part"
_ATTEMPTS: Final = 5


def default_cache_dir() -> Path:
    """``$AMD_DAS_CACHE_DIR``, else ``amd-das/series`` in the user's cache folder."""
    if chosen := os.environ.get(CACHE_DIR_VARIABLE):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "amd-das" / "series"


@dataclass(frozen=True, kw_only=True)
class CacheUsage:
    """What a cache holds."""

    folder: Path
    series: int
    bytes: int
    in_use: int
    """Series that a process holds at the moment."""

    oldest_hours: float
    """Since the series that has not been used for longest was used; 0 for an empty cache."""


class SeriesCache:
    """Folders of DICOM series, one for each series and number of instances.

    A series that has grown in the PACS is another entry, so an old copy is never taken for the new one. Each entry
    has a lock file: shared while it is used, exclusive while it is made or removed. The kernel drops the locks of a
    process that dies.
    """

    def __init__(self, folder: Path, *, max_bytes: int = 10 * 2**30, max_hours: float = 24.0) -> None:
        """``max_hours`` counts from the last use. Raises ConfigError for limits that are not above 0."""
        if max_bytes < 1 or max_hours <= 0:
            raise ConfigError(f"the cache may hold {max_bytes} bytes for {max_hours} h; expected numbers above 0")
        self.folder = folder
        self.max_bytes = max_bytes
        self.max_hours = max_hours

    @contextmanager
    def folder_of(self, series: SeriesInfo, fetch: Callable[[Path], object]) -> Iterator[Path]:
        """The folder of a series' files, fetched unless it is there already; held until the context ends.

        Args:
            series: as the PACS lists it now; its count of instances is part of what is looked up.
            fetch: puts the files into a folder that does not exist yet, or raises.

        Raises:
            CacheError: the folder cannot be written.
        """
        entry = self._entry(series)
        with _disk_trouble_said(self.folder):
            self._make_private()
        for _ in range(_ATTEMPTS):
            with _locked(entry, exclusive=False):
                if self._is_fresh(entry):
                    with _disk_trouble_said(self.folder):
                        os.utime(entry / _RECORD)
                        self._evict(keep=entry)
                    yield entry / _FILES
                    return
            with _locked(entry, exclusive=True):
                if not self._is_fresh(entry):  # another may have fetched it while this one waited
                    with _disk_trouble_said(self.folder):
                        self._make(entry, fetch)
        raise CacheError(f"{series.case_id} was removed from {self.folder} again and again while it was fetched")

    def expire(self) -> None:
        """Remove what is too old or too much, and what processes that died left behind; what is in use stays."""
        with _disk_trouble_said(self.folder):
            self._evict()

    def clear(self) -> int:
        """Remove everything that is not in use; returns the number of series removed."""
        with _disk_trouble_said(self.folder):
            return sum(_remove(entry) for entry in self._entries())

    def usage(self) -> CacheUsage:
        """What is there."""
        ages, total, in_use = [0.0], 0, 0
        entries = [entry for entry in self._entries() if (entry / _RECORD).is_file()]
        for entry in entries:
            ages.append(_hours_unused(entry))
            total += _bytes_of(entry)
            with _try_locked(entry) as free:
                in_use += not free
        return CacheUsage(folder=self.folder, series=len(entries), bytes=total, in_use=in_use, oldest_hours=max(ages))

    def _entry(self, series: SeriesInfo) -> Path:
        name = hashlib.sha256(f"{series.study_uid} {series.series_uid}".encode()).hexdigest()[:32]
        return self.folder / f"{name}-{series.instances}"

    def _entries(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        names = {path.name.removesuffix(_LOCK).removesuffix(_PART) for path in self.folder.iterdir()}
        return [self.folder / name for name in sorted(names) if _is_entry_name(name)]

    def _make_private(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _is_fresh(self, entry: Path) -> bool:
        return (entry / _RECORD).is_file() and _hours_unused(entry) < self.max_hours

    def _make(self, entry: Path, fetch: Callable[[Path], object]) -> None:
        """Fetch beside and rename; the record is written last but one."""
        part = entry.with_name(entry.name + _PART)
        for old in (part, entry):
            shutil.rmtree(old, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            fetch(part / _FILES)
            size = 0
            for file in (part / _FILES).iterdir():
                file.chmod(0o600)
                size += file.stat().st_size
            (part / _FILES).chmod(0o700)
            write_whole(part / _RECORD, json.dumps({"bytes": size}).encode()).chmod(0o600)
            part.rename(entry)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _evict(self, keep: Path | None = None) -> None:
        """Drop expired entries, then those unused for longest until the rest fits, then leftovers."""
        entries = self._entries()
        held = [entry for entry in entries if (entry / _RECORD).is_file()]
        by_age = sorted(held, key=_hours_unused, reverse=True)
        total = sum(map(_bytes_of, held))
        for entry in by_age:
            size = _bytes_of(entry)
            if entry != keep and (total > self.max_bytes or _hours_unused(entry) >= self.max_hours) and _remove(entry):
                total -= size
        for entry in set(entries) - set(held):
            if entry != keep:
                _remove(entry)


def _is_entry_name(name: str) -> bool:
    head, _, count = name.partition("-")
    return len(head) == 32 and head.isalnum() and count.isdigit()


def _hours_unused(entry: Path) -> float:
    try:
        return max(0.0, (time.time() - (entry / _RECORD).stat().st_mtime) / 3600)
    except FileNotFoundError:  # just removed by another
        return 0.0


def _bytes_of(entry: Path) -> int:
    try:
        return int(json.loads((entry / _RECORD).read_text())["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _remove(entry: Path) -> bool:
    """Remove an entry and its lock file unless it is in use; whether it held a series and is gone."""
    with _try_locked(entry) as free:
        if not free:
            return False
        had = (entry / _RECORD).is_file()
        (entry / _RECORD).unlink(missing_ok=True)  # first, so that half an entry is none
        for path in (entry, entry.with_name(entry.name + _PART)):
            shutil.rmtree(path, ignore_errors=True)
        entry.with_name(entry.name + _LOCK).unlink(missing_ok=True)
        return had


def _open_lock(entry: Path) -> int:
    return os.open(entry.with_name(entry.name + _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_current(descriptor: int, entry: Path) -> bool:
    """Whether the lock file is still the one that lies there; a removed entry takes its lock file along."""
    try:
        return os.fstat(descriptor).st_ino == entry.with_name(entry.name + _LOCK).stat().st_ino
    except FileNotFoundError:
        return False


@contextmanager
def _locked(entry: Path, *, exclusive: bool) -> Iterator[None]:
    """Waits until the lock is to be had."""
    while True:
        descriptor = _open_lock(entry)
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        if _is_current(descriptor, entry):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _try_locked(entry: Path) -> Iterator[bool]:
    """The exclusive lock if nobody has it; yields whether it was to be had."""
    descriptor = _open_lock(entry)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield _is_current(descriptor, entry)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_trouble_said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the disk's: requests' errors are OSErrors too
            raise
        raise CacheError(
            f"series from the PACS cannot be kept in {folder}: {error.strerror}; free some space, or name another "
            f"folder with {CACHE_DIR_VARIABLE}"
        ) from error
