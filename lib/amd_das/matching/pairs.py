"""The matching of two slice stores: the candidates of every MRI, the nearest MRI of every CT, and their file."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from amd_das.errors import ConfigError, NotFoundError, TrainingError, TrainingStopped
from amd_das.files import write_whole
from amd_das.matching.fingerprint import fingerprints, release
from amd_das.matching.similarity import MAX_WEIGHT, nearest
from amd_das.slices import SliceStore, bright_pixels
from amd_das.slices.store import LESION_ABOVE

FORMAT: Final = "amd-das matches"
VERSION: Final = 1

Progress = Callable[[int, int, str], None]
"""Called with the slices done so far, how many there are to do, and what is being done."""

_CHUNK = 1024  # slices whose pixels are counted at a time


@dataclass(frozen=True, kw_only=True)
class MatchConfig:
    """What is alike, and how many are kept."""

    candidates: int = 20
    """CTs kept for each MRI; all of them where the target has fewer (paper)."""

    hamming_weight: int = 100
    """How many lesion pixels one differing bit weighs (paper)."""

    lesion_threshold: int = LESION_ABOVE
    """Pixels of a CT above this count as lesion, grey values of 0-255 (paper), but for the brain's rim (ours)."""

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ConfigError(f"candidates {self.candidates}: expected 1 or more")
        if not 0 <= self.hamming_weight <= MAX_WEIGHT:
            raise ConfigError(f"hamming_weight {self.hamming_weight}: expected 0 to {MAX_WEIGHT}")
        if not 0 <= self.lesion_threshold <= 255:
            raise ConfigError(f"lesion_threshold {self.lesion_threshold}: expected a grey value of 0 to 255")


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Which slices of two stores are alike. All indexes are places in a store; equals are in order of their index."""

    nearest_ct: np.ndarray
    """(n_source, k) int32, the most alike CTs of each MRI, most alike first."""

    distance: np.ndarray
    """(n_source, k) int32, their ``d_sim``."""

    nearest_mri: np.ndarray
    """(n_target,) int32, the most alike MRI of each CT."""

    config: MatchConfig = field(default_factory=MatchConfig)
    """How it was found."""

    source_digest: str = ""
    """Of the store of MRIs; empty where unknown."""

    target_digest: str = ""
    """Of the store of CTs."""

    @cached_property
    def matched_source(self) -> np.ndarray:
        """(m,) int32 ascending: the MRIs that are nearest to some CT, the matched source set of stage 2."""
        return np.unique(self.nearest_mri)

    def check(self, source: SliceStore, target: SliceStore) -> None:
        """Raise ConfigError unless this was found on these two stores, as they are now."""
        for name, store, digest in (("source", source, self.source_digest), ("target", target, self.target_digest)):
            if store.digest() != digest:
                raise ConfigError(f"these matches are of other {name} slices than {store.directory}; match again")

    def save(self, path: Path) -> Path:
        """Write ``.npz``, whole or not at all; its folder must exist. Returns ``path``."""
        about = {
            "format": FORMAT,
            "version": VERSION,
            "config": asdict(self.config),
            "source": self.source_digest,
            "target": self.target_digest,
        }
        content = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(content, about=np.array(json.dumps(about)), **arrays)
        return write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Matches":
        """Read what :meth:`save` wrote; pickled objects are refused.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: it holds something else, or indexes that cannot be.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                matches = cls(
                    **{name: _checked(file[name], dimensions) for name, dimensions in _ARRAYS.items()},
                    config=MatchConfig(**about["config"]),
                    source_digest=about["source"],
                    target_digest=about["target"],
                )
            _check_whole(about, matches)
        except FileNotFoundError:
            raise NotFoundError(f"{path} does not exist; make it with `amd-das match`") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise ConfigError(f"{path} is no file of matches ({error}); make it again with `amd-das match`") from error
        return matches


def match(
    source: SliceStore,
    target: SliceStore,
    config: MatchConfig | None = None,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Matches:
    """Fingerprint both stores and compare every MRI with every CT.

    The lesion of an MRI is its label; that of a CT is what is brighter than the threshold, even where the CTs have
    labels: no target label takes part.

    Args:
        source: labelled MRIs.
        target: CTs.
        config: the paper's numbers if None.
        progress: see :data:`Progress`.
        should_stop: asked every few hundred slices.

    Raises:
        TrainingError: a store is empty, or the source has no labels.
        TrainingStopped: it was asked to stop.
    """
    config = config or MatchConfig()
    for name, store in (("source", source), ("target", target)):
        if not len(store):
            raise TrainingError(f"there are no {name} slices in {store.directory}; prepare at least one scan")
    if source.labels is None:
        raise TrainingError(
            f"the source slices in {source.directory} have no labels, but matching compares lesions; name the "
            "labelled MRI first and the CT second, or prepare the MRI with its masks"
        )
    total = 2 * len(source) + 2 * len(target)

    def after(before: int, what: str) -> Callable[[int], None]:
        def tell(done: int) -> None:
            if should_stop and should_stop():
                raise TrainingStopped("matching was stopped; it takes seconds to minutes and starts from the beginning")
            if progress:
                progress(before + done, total, what)

        return tell

    source_fp = fingerprints(source.images, after=after(0, "fingerprints of the MRIs"))
    target_fp = fingerprints(target.images, after=after(len(source), "fingerprints of the CTs"))
    lesion_px = _bright_px(target, config.lesion_threshold, after(len(source) + len(target), "lesions of the CTs"))
    found = nearest(
        source_fp,
        source.lesion_px,
        target_fp,
        lesion_px,
        config.candidates,
        hamming_weight=config.hamming_weight,
        after=after(len(source) + 2 * len(target), "comparing MRIs with CTs"),
    )
    return Matches(
        nearest_ct=found.index,
        distance=found.distance,
        nearest_mri=found.source,
        config=config,
        source_digest=source.digest(),
        target_digest=target.digest(),
    )


def _bright_px(store: SliceStore, threshold: int, after: Callable[[int], None]) -> np.ndarray:
    """(N,) int32, pixels above the threshold of each slice; counted only where the index does not say so already."""
    if store.labels is None and threshold == LESION_ABOVE:
        after(len(store))
        return store.lesion_px
    counts = np.empty(len(store), np.int32)
    for start in range(0, len(store), _CHUNK):
        chunk = store.images[start : start + _CHUNK]
        counts[start : start + len(chunk)] = np.count_nonzero(bright_pixels(chunk, threshold), axis=(1, 2))
        release(store.images)
        after(start + len(chunk))
    return counts


_ARRAYS: Final = {"nearest_ct": 2, "distance": 2, "nearest_mri": 1}
"""Arrays of a file and their dimensions."""


def _checked(array: np.ndarray, dimensions: int) -> np.ndarray:
    if array.dtype != np.int32 or array.ndim != dimensions or array.size == 0 or array.min() < 0:
        raise ValueError(f"an array of {array.dtype} and shape {array.shape}")
    return array


def _check_whole(about: dict[str, Any], matches: Matches) -> None:
    if (about["format"], about["version"]) != (FORMAT, VERSION):
        raise ValueError(f"{about['format']!r} version {about['version']}, expected {FORMAT!r} version {VERSION}")
    if (
        matches.nearest_ct.shape != matches.distance.shape
        or matches.nearest_ct.max() >= len(matches.nearest_mri)
        or matches.nearest_mri.max() >= len(matches.nearest_ct)
    ):
        raise ValueError("its arrays do not fit each other")
