"""What a listener keeps on disk between receiving a series and its result's arrival: private, bounded, never half.

``incoming/<case>/<sop>.dcm`` are series as they came, ``outgoing/<job>/`` results to be sent, ``refused/<case>/``
series that could not be segmented, with ``reason.json``. Names are hashes. ``.receiving`` lies in a series' folder
while it is sent, and still does if that broke off; ``.done`` once its result was made.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from amd_das.errors import AmdDasError, ConfigError
from amd_das.listener.disk import bytes_below, sync_folder, with_stats, write_synced

RECEIVING, DONE, REASON, RECORD = ".receiving", ".done", "reason.json", "result.json"
GIB: Final = 2**30
MIN_FREE_BYTES: Final = 256 * 2**20
"""Of the disk, left alone (ours)."""


class SpoolFullError(AmdDasError):
    """No room for another instance; what is waiting has to be done or sent first."""

    status = 503
    code = "spool_full"


def instance_name(sop_uid: str) -> str:
    """The file of an instance: the same for the same UID, and it does not tell the UID."""
    return hashlib.sha256(sop_uid.encode()).hexdigest()[:32] + ".dcm"


class Spool:
    """One folder, one process; any thread may call."""

    def __init__(
        self, folder: Path, *, max_bytes: int = 20 * GIB, keep_hours: float = 6.0, refused_days: float = 7.0
    ) -> None:
        """Take the folder, and clear what a killed process left half-written.

        Args:
            folder: made, for its owner alone, if it does not exist.
            max_bytes: everything in it together.
            keep_hours: how long a series is kept after its result was made, for slices that come late.
            refused_days: how long series that could not be segmented are kept.

        Raises:
            ConfigError: it cannot be written, or another process uses it.
        """
        self.folder, self.max_bytes = folder, max_bytes
        self.keep_seconds, self.refused_seconds = keep_hours * 3600, refused_days * 86400
        self.incoming, self.outgoing, self.refused = (folder / name for name in ("incoming", "outgoing", "refused"))
        self._unfinished = folder / "unfinished"
        try:
            for path in (folder, self.incoming, self.outgoing, self.refused, self._unfinished):
                path.mkdir(mode=0o700, parents=path == folder, exist_ok=True)
            folder.chmod(0o700)
            self._held = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot use {folder} as spool folder: {error.strerror}; choose another") from None
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system, however the process ends
        except OSError:
            os.close(self._held)
            raise ConfigError(f"another listener uses the spool folder {folder}; stop it, or choose another") from None
        self._lock = threading.RLock()
        shutil.rmtree(self._unfinished)
        self._unfinished.mkdir(mode=0o700)
        self._used = bytes_below(folder)
        for series in self.series():
            self.drop_empty(series)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._held)

    @property
    def used(self) -> int:
        """Bytes in the folder."""
        return self._used

    def series(self) -> list[str]:
        """Case ids of the series that are kept, oldest name first."""
        return sorted(path.name for path in self.incoming.iterdir() if path.is_dir())

    def has(self, series: str) -> bool:
        """Whether anything of this series is kept, or was refused and could be completed."""
        return (self.incoming / series).is_dir() or (self.refused / series).is_dir()

    def files(self, series: str) -> list[Path]:
        """The instances of a series."""
        return sorted((self.incoming / series).glob("[!.]*.dcm"))

    def content(self, series: str) -> str:
        """A fingerprint of what has come: another for every instance more or replaced. Empty for nothing."""
        with self._lock:
            stats = [(path.name, status.st_size, status.st_mtime_ns) for path, status in with_stats(self.files(series))]
        return hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:32] if stats else ""

    def begin(self, series: str) -> None:
        """A sender begins with this series: its folder, marked as being received."""
        with self._lock:
            folder, refused = self.incoming / series, self.refused / series
            if not folder.exists() and refused.exists():  # what it lacked may be coming now
                (refused / REASON).unlink(missing_ok=True)
                refused.rename(folder)
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / RECEIVING).touch(mode=0o600)
            sync_folder(folder)
            sync_folder(self.incoming)

    def end(self, series: str) -> None:
        """The sender has said that this was all."""
        (self.incoming / series / RECEIVING).unlink(missing_ok=True)

    def broke_off(self, series: str) -> bool:
        """Whether sending it ended without the sender's saying so, or has not ended."""
        return (self.incoming / series / RECEIVING).exists()

    def add(self, series: str, name: str, content: bytes) -> bool:
        """Keep an instance, whole and on the disk when this returns; False if the same was there already.

        Raises:
            SpoolFullError: there is no room; nothing is left of it.
        """
        target = self.incoming / series / name
        self.make_room(len(content))
        temporary = self._unfinished / uuid.uuid4().hex
        try:
            write_synced(temporary, content)
            with self._lock:
                before = target.stat().st_size if target.exists() else 0
                if before == len(content) and target.read_bytes() == content:
                    return False
                temporary.replace(target)
                (target.parent / DONE).unlink(missing_ok=True)
                self._used += len(content) - before
        except OSError as error:
            raise SpoolFullError(f"an instance could not be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(target.parent)
        return True

    def make_room(self, size: int) -> None:
        """Drop what is kept only in case, oldest first, until ``size`` bytes fit; raises SpoolFullError."""
        if self._fits(size):
            return
        with self._lock:
            for folder in self._dispensable():
                self._drop(folder)
                if self._fits(size):
                    return
        raise SpoolFullError(
            f"the spool holds {self._used / GIB:.2f} GB of at most {self.max_bytes / GIB:.2f}, or the disk is full"
        )

    def publish(self, job_id: str, files: Mapping[str, Dataset], record: Mapping[str, Any]) -> Path:
        """Keep a result until it is sent, whole or not at all; returns its folder."""
        folder = self._unfinished / job_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, dataset in files.items():
            buffer = io.BytesIO()
            dataset.save_as(buffer, write_like_original=False)
            write_synced(folder / name, buffer.getvalue())
        write_synced(folder / RECORD, json.dumps(record, allow_nan=False).encode())
        sync_folder(folder)
        target = self.outgoing / job_id
        with self._lock:
            if target.exists():
                self._drop(target)
            folder.rename(target)
            self._used += bytes_below(target)
        sync_folder(self.outgoing)
        return target

    def results(self) -> list[Path]:
        """Folders of results not yet sent, oldest first."""
        records = with_stats(self.outgoing.glob(f"*/{RECORD}"))
        return [path.parent for path, _ in sorted(records, key=lambda found: found[1].st_mtime_ns)]

    def record(self, folder: Path) -> dict[str, Any]:
        """What was published with a result."""
        found: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        return found

    def remove_sent(self, path: Path) -> None:
        """An instance of a result has arrived."""
        with self._lock:
            self._used -= path.stat().st_size
            path.unlink()

    def mark_done(self, series: str, content: str) -> None:
        """Its result was made; it is kept for a while in case more comes."""
        with self._lock:
            if self.content(series) == content:
                (self.incoming / series / DONE).touch(mode=0o600)

    def refuse(self, series: str, content: str, reason: Mapping[str, Any]) -> bool:
        """Move it out of the way with the reason; False if more has come meanwhile, which may cure it."""
        with self._lock:
            if self.content(series) != content or not content or self.broke_off(series):
                return False
            target = self.refused / series
            if target.exists():
                self._drop(target)
            write_synced(self.incoming / series / REASON, json.dumps(reason, indent=2).encode())
            (self.incoming / series).rename(target)
            os.utime(target)
            return True

    def drop_result(self, folder: Path, *, refused: bool = False) -> None:
        """A result is sent, or never will be and is kept as refused for a while."""
        with self._lock:
            if refused:
                target = self.refused / f"result-{folder.name}"
                folder.rename(target)
                os.utime(target)
            else:
                self._drop(folder)

    def drop_empty(self, series: str) -> None:
        """Forget a series of which nothing came."""
        with self._lock:
            if (self.incoming / series).is_dir() and not self.files(series):
                self._drop(self.incoming / series)

    def is_done(self, series: str) -> bool:
        """Whether it is kept only for slices that may come late."""
        return (self.incoming / series / DONE).exists() and not self.broke_off(series)

    def expire(self) -> None:
        """Remove what has been kept long enough."""
        now = time.time()
        with self._lock:
            for folder in self._dispensable():
                refused = folder.parent == self.refused
                age = now - (folder if refused else folder / DONE).stat().st_mtime
                if age > (self.refused_seconds if refused else self.keep_seconds):
                    self._drop(folder)
            self._used = bytes_below(self.folder)

    def _dispensable(self) -> list[Path]:
        """Series that are done or refused, and not being received, oldest first."""
        done = [path.parent for path in self.incoming.glob(f"*/{DONE}") if not (path.parent / RECEIVING).exists()]
        aged = [(folder, (folder / DONE).stat().st_mtime) for folder in done]
        aged += [(folder, status.st_mtime) for folder, status in with_stats(self.refused.iterdir())]
        return [folder for folder, _ in sorted(aged, key=lambda found: found[1])]

    def _fits(self, size: int) -> bool:
        free = shutil.disk_usage(self.folder).free
        return self._used + size <= self.max_bytes and free - size >= MIN_FREE_BYTES

    def _drop(self, folder: Path) -> None:
        size = bytes_below(folder)
        gone = self._unfinished / uuid.uuid4().hex
        folder.rename(gone)  # out of sight at once, whole
        shutil.rmtree(gone, ignore_errors=True)
        self._used -= size


def ordered_names(objects: Mapping[str, Sequence[Dataset]]) -> dict[str, Dataset]:
    """File names in the order of sending: the report last, so that what it refers to is there before it."""
    order = sorted(objects, key=lambda name: (name == "sr", name != "seg"))
    datasets = [(name, dataset) for name in order for dataset in objects[name]]
    return {f"{place:04d}-{name}.dcm": dataset for place, (name, dataset) in enumerate(datasets)}
