"""What stage 2 learns from: labelled source slices and unlabelled target slices, dealt out in batches.

Which slices make a batch, and how they are changed, depends on the seed and the number of the step alone: a resumed
training sees what an uninterrupted one would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from torch import Tensor

from amd_das.datasets.splits import FILE_NAME as SPLIT
from amd_das.datasets.splits import known
from amd_das.errors import ConfigError, TrainingError
from amd_das.segmentation.augment import NONE, PAPER, AugmentConfig, augment
from amd_das.segmentation.decks import Deck, Rows, dealt
from amd_das.segmentation.painting import UNPAINTED, PaintConfig, paint
from amd_das.slices import SliceStore, bright_pixels

_SOURCE, _TARGET, _SPLIT, _CHANGES, _PAINT = range(1, 6)  # keep what is drawn for each apart; 0 would count as nothing


class AdaptationBatch(NamedTuple):
    """One batch of both domains; the engine moves it to the device."""

    image: Tensor
    """(N, 1, H, W) float32 in [-1, 1], source: pseudo-CT, or whatever is labelled."""

    label: Tensor
    """(N, 1, H, W) float32, 0 or 1, of `image`."""

    target: Tensor
    """(N, 1, H, W) float32 in [-1, 1], real CT."""


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How batches are made."""

    augment: AugmentConfig = field(default_factory=lambda: PAPER)
    """Changes of the source (paper: flips and brightness)."""

    paint: PaintConfig = field(default_factory=lambda: UNPAINTED)
    """What CT shows and MRI does not, painted into the source (ours; paper: nothing)."""

    augment_target: bool = False
    """Whether the target is changed in the same way (ours); the paper changes the source only. With strong changes
    it should be: otherwise they are what tells the domains apart."""

    lesion_share: float | None = None
    """Part of the source slices that shows a lesion (ours); None: as they come, each once an epoch (paper)."""

    patches: tuple[tuple[int, int], ...] = ()
    """(first step, side in pixels) of the squares that are cut out, in order (ours, for speed); none: whole slices
    (paper)."""

    def __post_init__(self) -> None:
        if self.lesion_share is not None and not 0.0 <= self.lesion_share <= 1.0:
            raise ConfigError(f"lesion_share {self.lesion_share}: expected None or a part, 0 to 1")
        starts = [start for start, _ in self.patches]
        if starts != sorted(set(starts)) or starts[:1] not in ([], [0]) or any(side < 1 for _, side in self.patches):
            raise ConfigError(
                f"patches {self.patches}: expected (first step, side) from step 0 on, in order, sides of at least 1"
            )

    def patch(self, step: int) -> int | None:
        """Side of the patches at a step; None for whole slices."""
        return next((side for start, side in reversed(self.patches) if start <= step), None)


BatchAt = Callable[[int, int], AdaptationBatch]
"""(step, batch size) → the batch of that step."""


def adaptation_batches(
    source: SliceStore,
    target: SliceStore,
    source_indices: np.ndarray,
    config: BatchConfig,
    seed: int,
    *,
    target_indices: np.ndarray | None = None,
) -> BatchAt:
    """Batches of both domains; the shorter one begins again while the longer one goes on.

    Args:
        source: labelled slices.
        target: slices whose labels, if any, are not looked at.
        source_indices: (n,) slices of the source to learn from.
        config: how batches are made.
        seed: of everything drawn.
        target_indices: (n,) slices of the target to learn from; None for all.

    Raises:
        TrainingError: the source has no labels, there is no slice of one domain, or none with a lesion where some are
            asked for.
    """
    if source.labels is None:
        raise TrainingError(f"{source.directory} has no labels; stage 2 learns from labelled slices, of the pseudo-CT")
    chosen = np.arange(len(target)) if target_indices is None else target_indices
    for name, indices in (("source", source_indices), ("target", chosen)):
        if not len(indices):
            raise TrainingError(f"there is no {name} slice to learn from; add cases to that domain")
    source_at = _source_rows(source.lesion_px, np.asarray(source_indices), config.lesion_share, seed)
    target_deck = Deck(chosen, (seed, _TARGET))
    target_changes = config.augment if config.augment_target else NONE
    source_labels = source.labels

    def batch_at(step: int, size: int) -> AdaptationBatch:
        patch = config.patch(step)
        positions = np.arange(step * size, (step + 1) * size)
        rows = source_at(positions)
        rng = np.random.default_rng([seed, _PAINT, step])
        painted, lesions = paint(source.images[rows], source_labels[rows], config.paint, rng)
        rng = np.random.default_rng([seed, _CHANGES, _SOURCE, step])
        image, label = augment(painted, lesions, config.augment, rng, patch=patch)
        seen = target.images[target_deck.deal(positions)]
        rng = np.random.default_rng([seed, _CHANGES, _TARGET, step])
        changed, _ = augment(seen, bright_pixels(seen), target_changes, rng, patch=patch)
        return AdaptationBatch(image, label, changed)

    return batch_at


def _source_rows(lesion_px: np.ndarray, indices: np.ndarray, share: float | None, seed: int) -> Rows:
    """The order of the source's slices; in any run of them the share of lesions is as asked for."""
    if share is None:
        return Deck(indices, (seed, _SOURCE)).deal
    kinds = [indices[lesion_px[indices] > 0], indices[lesion_px[indices] == 0]]
    for kind, part, name in zip(kinds, (share, 1 - share), ("a", "no"), strict=True):
        if part > 0 and not len(kind):
            raise TrainingError(f"none of {len(indices)} source slices shows {name} lesion, but {part:.0%} should")
    lesions, others = (Deck(kind, (seed, _SOURCE, number)) for number, kind in enumerate(kinds))
    return dealt(share, lesions.deal, others.deal)


def split_patients(store: SliceStore, validation_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Slices to learn from and slices to validate with; no patient is in both.

    Patients whose place is kept beside the store (:mod:`amd_das.datasets.splits`) have it whatever the share and seed.

    Args:
        store: of any domain.
        validation_share: part of the patients, rounded, that is held out; at least one where it is not 0.
        seed: which patients, where that is not kept.

    Returns:
        Two ascending arrays of int64, which together are all slices.

    Raises:
        TrainingError: there are too few patients to split.
    """
    if not 0.0 <= validation_share < 1.0:
        raise ConfigError(f"validation_share {validation_share}: expected a part from 0 up to, not including, 1")
    patients = sorted({case.patient for case in store.cases})
    held = max(1, round(validation_share * len(patients))) if validation_share else 0
    if held and held >= len(patients):
        raise TrainingError(
            f"{store.directory} holds slices of {len(patients)} patient(s); at least 2 are needed, to learn from some "
            "and validate with others"
        )
    places = known(patients, store.directory / SPLIT) if held else []
    outside = {patient for patient, place in zip(patients, places, strict=False) if place == "validation"}
    if held and (None in places or not outside):
        outside = {patients[n] for n in np.random.default_rng([seed, _SPLIT]).permutation(len(patients))[:held]}
    held_cases = np.array([case.patient in outside for case in store.cases], bool)
    validation = held_cases[store.case_index]
    return np.flatnonzero(~validation), np.flatnonzero(validation)
