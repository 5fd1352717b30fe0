"""What stage 1 learns from: MRIs with their labels, each beside a CT that is like it.

A batch depends on the seed and the number of the step alone, so a resumed training sees what an uninterrupted one
would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from amd_das.errors import ConfigError, TrainingError
from amd_das.matching.pairs import Matches
from amd_das.networks.generator import MIN_PX, STRIDE
from amd_das.preprocessing.grid import SIZE
from amd_das.slices import SliceStore, network_image, network_label

_ORDER, _DRAWS = 1, 2  # keep what is drawn for each apart; 0 would count as nothing


class SynthesisBatch(NamedTuple):
    """One batch of pairs; the engine moves it to the device."""

    mri: Tensor
    """(N, 1, H, W) float32 in [-1, 1], source."""

    label: Tensor
    """(N, 1, H, W) float32, 0 or 1, of `mri`."""

    ct: Tensor
    """(N, 1, H, W) float32 in [-1, 1], target."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """How pairs are made."""

    matching: bool = True
    """Draw an MRI's CT from its candidates (paper); False draws it from all CTs (the paper's ablation)."""

    flip: bool = False
    """Mirror half of the pairs left to right (ours)."""

    crop: int | None = None
    """Side in pixels of a window around the brain, the same for both of a pair; None for whole slices (paper). Ours,
    for speed."""

    def __post_init__(self) -> None:
        if self.crop is not None and (self.crop % STRIDE or not MIN_PX <= self.crop <= SIZE):
            raise ConfigError(f"crop {self.crop}: expected None or a multiple of {STRIDE} pixels, {MIN_PX} to {SIZE}")


BatchAt = Callable[[int, int], SynthesisBatch]
"""(step, batch size) → the batch of that step."""


def matched_batches(
    source: SliceStore,
    target: SliceStore,
    matches: Matches | None,
    config: PairConfig,
    seed: int,
    *,
    source_indices: np.ndarray | None = None,
) -> BatchAt:
    """Each MRI once an epoch, in an order that changes, with one of its candidates drawn at random each time.

    Args:
        source: labelled MRIs.
        target: CTs; labels they may have are not looked at.
        matches: of these two stores; needed unless matching is off.
        config: how pairs are made.
        seed: of everything drawn, 0 or more.
        source_indices: (n,) MRIs to learn from; None for all.

    Raises:
        TrainingError: a domain has no slices, or the source no labels.
        ConfigError: there are no matches though they are asked for, or they are of other slices.
    """
    chosen = np.arange(len(source)) if source_indices is None else np.asarray(source_indices)
    for name, count in (("source", len(chosen)), ("target", len(target))):
        if not count:
            raise TrainingError(f"there is no {name} slice to learn from; add cases to that domain")
    if source.labels is None:
        raise TrainingError(f"{source.directory} has no labels; stage 1 learns from labelled MRI")
    if config.matching:
        if matches is None:
            raise ConfigError("matching is on, but there are no matches; match the stores, or set matching to False")
        matches.check(source, target)
    candidates = matches.nearest_ct if config.matching and matches else None
    labels, order = source.labels, _Order(chosen, seed)

    def batch_at(step: int, size: int) -> SynthesisBatch:
        rng = np.random.default_rng([seed, _DRAWS, step])
        mris = order.at(step * size, size)
        if candidates is None:
            cts = rng.integers(len(target), size=size)
        else:
            cts = candidates[mris, rng.integers(candidates.shape[1], size=size)]
        pairs = np.stack((source.images[mris], labels[mris], target.images[cts]), axis=1)
        if config.flip:
            mirrored = rng.random(size) < 0.5
            pairs[mirrored] = pairs[mirrored, ..., ::-1]
        if config.crop is not None:
            pairs = np.stack([_crop(pair, config.crop, rng) for pair in pairs])
        mri, label, ct = pairs.swapaxes(0, 1)
        return SynthesisBatch(network_image(mri), network_label(label), network_image(ct))

    return batch_at


class _Order:
    """The endless sequence of slices: all of them in each epoch, shuffled by seed and epoch."""

    def __init__(self, indices: np.ndarray, seed: int) -> None:
        self.indices, self.seed = indices, seed
        self.epoch, self.shuffled = -1, indices

    def at(self, start: int, count: int) -> np.ndarray:
        """(count,) slices from a place of the sequence on."""
        found = []
        for position in range(start, start + count):
            epoch, place = divmod(position, len(self.indices))
            if epoch != self.epoch:
                rng = np.random.default_rng([self.seed, _ORDER, epoch])
                self.epoch, self.shuffled = epoch, rng.permutation(self.indices)
            found.append(self.shuffled[place])
        return np.array(found)


def _crop(pair: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """(3, H, W) MRI, label, CT → (3, side, side): a window around both brains, or within them where it is smaller."""
    brain = (pair[0] > 0) | (pair[2] > 0)
    window = [slice(0, 3)]
    for axis in (1, 0):
        occupied = np.flatnonzero(brain.any(axis=axis))
        first, last = (occupied[0], occupied[-1] + 1) if len(occupied) else (0, brain.shape[1 - axis])
        low, high = np.clip(sorted((first, last - side)), 0, brain.shape[1 - axis] - side)
        start = int(rng.integers(low, high + 1))
        window.append(slice(start, start + side))
    return pair[tuple(window)]
