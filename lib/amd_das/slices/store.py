"""A store of slices: raw pixels that are mapped into memory, and an index with a line for each case.

A folder with ``images.u8`` (N × 240 × 240 bytes, one slice after the other), ``labels.u8`` (the same, 0 and 1; only
of a labelled domain) and ``index.jsonl`` (a header, then a line per case). Pixels are appended and flushed before
their case's line is, so whatever the lines describe is there, however a writer ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch import Tensor

from amd_das.errors import ConfigError, NotFoundError
from amd_das.preprocessing.grid import SIZE
from amd_das.preprocessing.window import to_network
from amd_das.slices.index import FILE_NAME as INDEX
from amd_das.slices.index import CaseSlices, Domain, Index

IMAGES: Final = "images.u8"
LABELS: Final = "labels.u8"

LESION_ABOVE: Final = 120
"""An unlabelled CT's pixels above this are counted as lesion, of 255 (paper); 47 HU."""

RIM_PX: Final = 2
"""Outermost pixels of the brain that are not counted, 1 mm each (ours)."""

_SQUARE = np.ones((3, 3), bool)

SLICE_BYTES: Final = SIZE * SIZE


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


def bright_pixels(images: np.ndarray, above: int = LESION_ABOVE) -> np.ndarray:
    """CT pixels (n, 240, 240) uint8 above a grey value, those of the brain's rim left out; (n, 240, 240) bool.

    Bone shines into the rim: half of all pixels above 120 would lie in it.
    """
    bright = images > above
    for one, image in zip(bright, images, strict=True):
        if one.any():
            # Two zeros side by side are the outside; a single one is noise in a ventricle.
            outside = binary_erosion(image == 0, _SQUARE, border_value=1)
            one &= ~binary_dilation(outside, _SQUARE, iterations=1 + RIM_PX)
    return bright


def lesion_pixels(images: np.ndarray, labels: np.ndarray | None = None) -> tuple[int, ...]:
    """Lesion pixels per slice: of the labels, or where there are none the bright ones (METHOD, ``d_les``).

    Both (n, 240, 240) uint8.
    """
    lesion = bright_pixels(images) if labels is None else labels > 0
    return tuple(np.count_nonzero(lesion, axis=(1, 2)).tolist())


def network_image(images: np.ndarray) -> Tensor:
    """(N, 240, 240) uint8 of a store → (N, 1, 240, 240) float32 in [-1, 1], what every network sees."""
    return to_network(torch.from_numpy(np.array(images, np.float32)[:, None]) / 255.0)


def network_label(labels: np.ndarray) -> Tensor:
    """(N, 240, 240) uint8 0 or 1 of a store → (N, 1, 240, 240) float32, 0 or 1."""
    return torch.from_numpy(np.array(labels, np.float32)[:, None])


def _mapped(path: Path, count: int) -> np.ndarray:
    """(count, 240, 240) uint8, read-only."""
    held = path.stat().st_size // SLICE_BYTES if path.exists() else 0
    if held < count:
        raise ConfigError(
            f"{path} holds {held} of the {count} slices in its index: it is damaged; prepare it again, which keeps "
            "what is whole"
        )
    shape = (count, SIZE, SIZE)
    return np.memmap(path, np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8)
