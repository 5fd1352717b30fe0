"""Scans that users are correcting, kept as the network sees them, so that a further click costs only itself."""

import hashlib
import threading
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from amd_das.inference import InferenceConfig, Outline, Predictor
from amd_das.interaction import Corrector, Evidence, gather
from amd_das.measurement import Midline
from amd_das.reading import ReadingConfig, read_volume

MOST_SCANS: Final = 4
"""Kept at a time: one for each of a few annotators (ours)."""

MOST_VOXELS: Final = 150_000_000
"""Of all scans kept, about 1 GB with their masks (ours). The latest is kept whatever its size."""


class KnownScan:
    """One scan under one setting, and the correctors of its automatic result and of nothing."""

    def __init__(self, evidence: Evidence, inference: InferenceConfig) -> None:
        self.evidence = evidence
        self._inference = inference
        self._correctors: dict[str, Corrector] = {}

    @cached_property
    def midline(self) -> Midline:
        """Of the scan, which the sides of its lesions are told by."""
        return Midline(self.evidence.volume)

    @cached_property
    def _outline(self) -> Outline:
        return self.evidence.found.outline(self._inference)

    def warnings(self, mask: np.ndarray, start: str) -> tuple[str, ...]:
        """What a user should know of a mask, (I, J, K) uint8, that was corrected from this start.

        Doubtful spots are of the automatic result alone, and no news once they are in the mask.
        """
        found = self.evidence.found
        return found.warnings + (found.doubts(self._outline.left_out & (mask == 0)) if start == "automatic" else ())

    def corrector(self, start: str) -> Corrector:
        """What clicks correct: "automatic" or "nothing"."""
        if start not in self._correctors:
            shape = self.evidence.volume.shape
            mask = np.zeros(shape, np.uint8) if start == "nothing" else self._outline.mask
            self._correctors[start] = Corrector(self.evidence, mask)
        return self._correctors[start]


class KnownScans:
    """The scans used last, of one model version. A scan is known by its content: by id and session it is the same."""

    def __init__(self, reading: ReadingConfig) -> None:
        self._reading = reading
        self._scans: OrderedDict[tuple[str, str, InferenceConfig], KnownScan] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, image: Path, predictor: Predictor, inference: InferenceConfig) -> KnownScan:
        """A scan, from memory or anew; raises InputError for anything but a head CT."""
        key = (fingerprint(image), predictor.info.version, inference)
        with self._lock:
            if key in self._scans:
                self._scans.move_to_end(key)
                return self._scans[key]
        evidence = gather(read_volume(image, self._reading), predictor, inference)
        with self._lock:
            known = self._scans[key] = KnownScan(evidence, inference)
            while len(self._scans) > 1 and (len(self._scans) > MOST_SCANS or self._voxels() > MOST_VOXELS):
                self._scans.popitem(last=False)
        return known

    def _voxels(self) -> int:
        return sum(known.evidence.volume.array.size for known in self._scans.values())


def fingerprint(image: Path) -> str:
    """Of a file its content; of a series' folder the names, sizes and times of its files, which is faster."""
    if image.is_file():
        with image.open("rb") as file:
            return f"{image.name}:{hashlib.file_digest(file, 'blake2b').hexdigest()}"
    files = sorted(path for path in image.rglob("*") if path.is_file())
    parts = [f"{path}:{status.st_size}:{status.st_mtime_ns}" for path in files for status in (path.stat(),)]
    return hashlib.blake2b("\n".join(parts).encode()).hexdigest()
