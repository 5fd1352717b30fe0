"""Writing a slice store: cases appended whole, by one process, so that any end of it leaves a store that is sound."""

import fcntl
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, get_args

import numpy as np

from amd_das.errors import ConfigError, TrainingError
from amd_das.preprocessing.grid import SIZE
from amd_das.slices.index import FILE_NAME as INDEX
from amd_das.slices.index import CaseSlices, Domain, Index, header_of, line_of
from amd_das.slices.store import IMAGES, LABELS, SLICE_BYTES


class SliceWriter:
    """Appends cases to a store, one process at a time; a context manager.

    A store that is there is continued: what an interrupted writer left behind its last whole index line is cut off.
    """

    def __init__(
        self, directory: Path, domain: Domain, *, labelled: bool, config: Mapping[str, Any] | None = None
    ) -> None:
        """Open or make the store.

        Raises:
            ConfigError: the folder holds another store (domain, labels or settings differ) or cannot be made.
            TrainingError: another process is writing it.
        """
        if domain not in get_args(Domain):
            raise ConfigError(f"domain {domain!r}: expected one of {', '.join(get_args(Domain))}")
        self.directory, self.labelled = Path(directory), labelled
        self._header = header_of(domain, labelled=labelled, config=config or {})
        self._files: dict[str, FileIO] = {}
        self._index = Index()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._open(INDEX)
            self._lock()
            self._index = self._read()
            pixels = sum(map(len, self._index.cases.values())) * SLICE_BYTES
            self._sizes = {INDEX: self._index.length}
            for name in (IMAGES, LABELS) if labelled else (IMAGES,):
                self._open(name)
                self._sizes[name] = pixels
            self._roll_back()
            if self._index.header is None:
                self._write("the index", {}, self._header)
        except OSError as error:
            self.close()
            raise ConfigError(f"cannot write slices to {self.directory}: {error.strerror}; choose another") from error
        except BaseException:
            self.close()
            raise

    @property
    def cases(self) -> Mapping[str, CaseSlices]:
        """The cases that are there."""
        return MappingProxyType(self._index.cases)

    @property
    def failures(self) -> Mapping[str, str]:
        """Case to error, of those that failed; appending one of them makes good for it."""
        return MappingProxyType(self._index.failures)

    @property
    def done(self) -> frozenset[str]:
        """Cases that are there or failed."""
        return frozenset(self._index.cases) | frozenset(self._index.failures)

    @property
    def slices(self) -> int:
        """How many slices are there."""
        return self._sizes[IMAGES] // SLICE_BYTES

    def append(self, case: CaseSlices, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Append a case's slices; when it returns they are on disk.

        Args:
            case: not there yet.
            images: (n, 240, 240) uint8.
            labels: (n, 240, 240) uint8, 0 or 1; of a labelled store only.

        Raises:
            ConfigError: shapes, types or counts do not fit each other or the store, or the case is there.
            TrainingError: the disk is full or fails; the store keeps the cases before.
        """
        if case.case in self._index.cases:
            raise ConfigError(f"case {case.case} is in {self.directory} already; each is appended once")
        if not len(case) == len(case.brain_px) == len(case.lesion_px) == len(images) > 0:
            raise ConfigError(
                f"case {case.case}: {len(images)} images, {len(case)} numbers, {len(case.brain_px)} and "
                f"{len(case.lesion_px)} pixel counts; expected as many of each, and at least one"
            )
        if (labels is not None) != self.labelled:
            raise ConfigError(f"case {case.case}: labels are {'' if self.labelled else 'not '}expected by this store")
        for what, array, highest in (("images", images, 255), ("labels", labels, 1)):
            if array is not None and (
                array.dtype != np.uint8 or array.shape != (len(case), SIZE, SIZE) or array.max() > highest
            ):
                raise ConfigError(
                    f"case {case.case}: {what} of shape {array.shape} and type {array.dtype}; expected uint8 of shape "
                    f"{(len(case), SIZE, SIZE)} up to {highest}"
                )
        parts = {IMAGES: images, LABELS: labels} if labels is not None else {IMAGES: images}
        content = {name: np.ascontiguousarray(part).tobytes() for name, part in parts.items()}
        self._write(case.case, content, {**vars(case), "provenance": dict(case.provenance)})
        self._index.add(case)

    def fail(self, case: str, error: str) -> None:
        """Note that a case cannot be prepared, and why; it is not tried again unless asked for."""
        if case in self._index.cases:
            raise ConfigError(f"case {case} is in {self.directory} already; it cannot have failed")
        self._write(case, {}, {"case": case, "error": error})
        self._index.failures[case] = error

    def close(self) -> None:
        """Let go of the files and of the lock."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _open(self, name: str) -> None:
        self._files[name] = FileIO(os.open(self.directory / name, os.O_RDWR | os.O_CREAT, 0o666), "r+")

    def _lock(self) -> None:
        """Held on the index until it is closed, or the process ends in whatever way."""
        try:
            fcntl.flock(self._files[INDEX], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"another process is writing slices to {self.directory}; wait for it, stop it, or choose another folder"
            ) from None

    def _read(self) -> Index:
        """The index so far, without cases whose pixels are not all there."""
        names = (IMAGES, LABELS) if self.labelled else (IMAGES,)
        paths = [self.directory / name for name in names]
        held = min(path.stat().st_size if path.exists() else 0 for path in paths) // SLICE_BYTES
        content = self._files[INDEX].readall()
        index = Index.parse(content, self.directory, held=held)
        if index.header is None and not line_of(self._header).startswith(content):
            raise ConfigError(f"{self.directory / INDEX} is no index of slices; choose another folder")
        difference = _difference(index.header, self._header) if index.header is not None else ""
        if difference:
            raise ConfigError(
                f"{self.directory} holds slices made with {difference}; choose another folder, or remove this one"
            )
        return index

    def _write(self, case: str, parts: Mapping[str, bytes], line: Mapping[str, Any]) -> None:
        """Append to every file and flush, the index last; all of it or nothing."""
        added = {**parts, INDEX: line_of(line)}
        try:
            for name, content in added.items():
                rest = memoryview(content)
                while rest:
                    rest = rest[self._files[name].write(rest) :]
                os.fsync(self._files[name].fileno())
        except OSError as error:
            self._roll_back()
            raise TrainingError(
                f"cannot write {case} to {self.directory}: {error.strerror}. "
                f"The {len(self._index.cases)} cases before are complete; make room and run again to continue."
            ) from error
        except BaseException:
            self._roll_back()
            raise
        for name, content in added.items():
            self._sizes[name] += len(content)

    def _roll_back(self) -> None:
        for name, file in self._files.items():
            file.truncate(self._sizes[name])
            file.seek(self._sizes[name])


def _difference(was: Any, now: Any, name: str = "") -> str:
    """The first thing that differs between two records, in words; empty where they are equal."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = (_difference(was.get(key), now.get(key), key) for key in was | now)
        return next(filter(None, found), "")
    return "" if was == now else f"{name} {was}, now it is {now}"
