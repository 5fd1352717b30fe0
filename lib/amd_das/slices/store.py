"""A store of slices: raw pixels that are mapped into memory, and an index with a line for each case.

A folder with ``images.u8`` (N × 240 × 240 bytes, one slice after the other), ``labels.u8`` (the same, 0 and 1; only
of a labelled domain) and ``index.jsonl`` (a header, then a line per case). Pixels are appended and flushed before
their case's line is, so whatever the lines describe is there, however a writer ended.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, get_args

import numpy as np
import torch
from torch import Tensor

from amd_das.errors import ConfigError, NotFoundError, TrainingError
from amd_das.preprocessing.grid import SIZE
from amd_das.preprocessing.window import to_network
from amd_das.slices.index import FILE_NAME as INDEX
from amd_das.slices.index import CaseSlices, Domain, Index, header_of, line_of

IMAGES: Final = "images.u8"
LABELS: Final = "labels.u8"

LESION_ABOVE: Final = 120
"""An unlabelled CT's pixels above this are counted as lesion, of 255 (paper); 47 HU."""

_SLICE_BYTES = SIZE * SIZE


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceStore:
    """A store open for reading. Pixels stay on disk until they are asked for. Build it with :meth:`open`."""

    directory: Path
    domain: Domain
    config: Mapping[str, Any]
    """The settings it was made with."""

    cases: tuple[CaseSlices, ...]
    failures: Mapping[str, str]
    """Case to error, of those that could not be prepared."""

    images: np.ndarray
    """(N, 240, 240) uint8, mapped: 0 outside the brain, 255 = top of the window. Row 0 anterior, column 0 right."""

    labels: np.ndarray | None
    """(N, 240, 240) uint8, mapped: 0 or 1; None where the domain has none."""

    case_index: np.ndarray
    """(N,) int32, the slice's position in `cases`."""

    brain_px: np.ndarray
    """(N,) int32."""

    lesion_px: np.ndarray
    """(N,) int32."""

    _digest: str

    @classmethod
    def open(cls, directory: Path) -> "SliceStore":
        """Read the index and map the pixels; what a writer appends afterwards is not seen.

        Raises:
            NotFoundError: there is no store.
            ConfigError: it is damaged, or of another version.
        """
        directory = Path(directory)
        try:
            content = (directory / INDEX).read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"{directory} holds no slices ({INDEX}: {error.strerror}); make them with `amd-das prepare`"
            ) from error
        index = Index.parse(content, directory)
        if index.header is None:
            raise NotFoundError(f"{directory} holds no slices yet; make them with `amd-das prepare`")
        cases = tuple(index.cases.values())
        count = sum(map(len, cases))
        return cls(
            directory=directory,
            domain=index.header["domain"],
            config=index.header["config"],
            cases=cases,
            failures=index.failures,
            images=_mapped(directory / IMAGES, count),
            labels=_mapped(directory / LABELS, count) if index.header["labelled"] else None,
            case_index=np.repeat(np.arange(len(cases), dtype=np.int32), [len(case) for case in cases]),
            brain_px=np.array([n for case in cases for n in case.brain_px], np.int32),
            lesion_px=np.array([n for case in cases for n in case.lesion_px], np.int32),
            _digest=index.digest,
        )

    def __len__(self) -> int:
        return len(self.case_index)

    def __reduce__(self) -> tuple[Any, ...]:
        return SliceStore.open, (self.directory,)  # a worker process maps the files too; a mapped array pickles whole

    def digest(self) -> str:
        """Hex digest of settings and cases, the same wherever the store lies; failures have no part in it."""
        return self._digest


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
            pixels = sum(map(len, self._index.cases.values())) * _SLICE_BYTES
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
        return self._sizes[IMAGES] // _SLICE_BYTES

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
        held = min(path.stat().st_size if path.exists() else 0 for path in paths) // _SLICE_BYTES
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


def lesion_pixels(images: np.ndarray, labels: np.ndarray | None = None) -> tuple[int, ...]:
    """Lesion pixels per slice: of the labels, or where there are none those above 120 of 255 (METHOD, ``d_les``).

    Both (n, 240, 240) uint8.
    """
    lesion = images > LESION_ABOVE if labels is None else labels > 0
    return tuple(np.count_nonzero(lesion, axis=(1, 2)).tolist())


def network_image(images: np.ndarray) -> Tensor:
    """(N, 240, 240) uint8 of a store → (N, 1, 240, 240) float32 in [-1, 1], what every network sees."""
    return to_network(torch.from_numpy(np.array(images, np.float32)[:, None]) / 255.0)


def network_label(labels: np.ndarray) -> Tensor:
    """(N, 240, 240) uint8 0 or 1 of a store → (N, 1, 240, 240) float32, 0 or 1."""
    return torch.from_numpy(np.array(labels, np.float32)[:, None])


def _difference(was: Any, now: Any, name: str = "") -> str:
    """The first thing that differs between two records, in words; empty where they are equal."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = (_difference(was.get(key), now.get(key), key) for key in was | now)
        return next(filter(None, found), "")
    return "" if was == now else f"{name} {was}, now it is {now}"


def _mapped(path: Path, count: int) -> np.ndarray:
    """(count, 240, 240) uint8, read-only."""
    held = path.stat().st_size // _SLICE_BYTES if path.exists() else 0
    if held < count:
        raise ConfigError(
            f"{path} holds {held} of the {count} slices in its index: it is damaged; prepare it again, which keeps "
            "what is whole"
        )
    shape = (count, SIZE, SIZE)
    return np.memmap(path, np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8)
