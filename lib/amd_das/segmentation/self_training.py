"""Self-training on the target: the FCN's own predictions on real CT, where it is sure of them, are learnt from.

After stage 2, in rounds (Yang and Wang 2022: predict on the target, learn from both domains again). What is ours:
slices on which the network hesitates are left out instead of being learnt wrongly, and bleeds of known outline are
painted into the CT slices, so that real CT shows what the predictions alone never would: the bleeds that are missed.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.networks.weights import digest
from amd_das.preprocessing.density import without_bone
from amd_das.segmentation.augment import AugmentConfig, augment
from amd_das.segmentation.batches import AdaptationBatch, BatchAt
from amd_das.segmentation.config import AdaptationConfig, Decay
from amd_das.segmentation.decks import Deck
from amd_das.segmentation.painting import UNPAINTED, BleedConfig, PaintConfig, add_bleeds, paint
from amd_das.segmentation.scores import chunks, probabilities, views
from amd_das.segmentation.trust import SliceTrust, Trust
from amd_das.slices import SliceStore, SliceWriter, lesion_pixels, network_image
from amd_das.training.device import choose
from amd_das.training.run import FitConfig

_DECK, _PAINT, _CHANGES = range(11, 14)  # apart from what else is drawn with the same seed


@dataclass(frozen=True, kw_only=True)
class SelfTrainingConfig:
    """One round of learning from the FCN's own predictions. All numbers are ours where nothing else is said."""

    fit: FitConfig
    """How long and where it is trained."""

    afresh: bool = False
    """From random weights instead of those that predicted: a network of its own, which errs elsewhere."""

    warm_up: float = 0.0
    """Part of the steps in which the learning rate rises."""

    learning_rate: float = 7e-4
    """Peak."""

    decay: Decay = "constant"
    """Of the learning rate. A rate that falls makes the averaged network miss more bleeds, not fewer."""

    average: float = 0.998
    """Decay of the running average of the FCN, which is what is kept; 0: none."""

    dice_by_slice: float = 0.0
    """See :class:`AdaptationConfig`: more finds more of the small bleeds, and more that is none."""

    share: float = 0.5
    """Part of a batch that is target."""

    trust: Trust = field(default_factory=SliceTrust)
    """Which predictions are learnt from."""

    bleeds: BleedConfig = field(default_factory=BleedConfig)
    """Painted into target slices, as lesion."""

    paint: PaintConfig = field(default_factory=lambda: UNPAINTED)
    """Painted into target slices, as no lesion."""

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"share {self.share}: expected a part above 0 and below 1")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate {self.learning_rate}: expected more than 0")
        self.adaptation(AdaptationConfig())  # which checks the rest

    def adaptation(self, before: AdaptationConfig) -> AdaptationConfig:
        """Stage 2's settings as this round has them: no discriminator, its own rate and average."""
        return replace(
            before,
            adversarial_weight=0.0,
            learning_rate=self.learning_rate,
            warm_up=self.warm_up,
            decay=self.decay,
            average=self.average,
            dice_by_slice=self.dice_by_slice,
        )


def pseudo_labels(
    network: nn.Module,
    target: SliceStore,
    indices: np.ndarray,
    directory: Path,
    config: SelfTrainingConfig,
    *,
    batch: int = 8,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SliceStore:
    """Write target slices with the network's predictions as labels, but those it is not sure of; continues.

    It may be sure of none: the store is empty then.

    Each slice is seen twice, a little darker, and a little brighter and mirrored; the mean of both probabilities
    counts.

    Args:
        network: image (N, 1, H, W) in [-1, 1] → an output with ``logits`` (N, 1, H, W).
        target: CT slices; labels are not looked at.
        indices: (n,) slices, in any order.
        directory: receives the store.
        config: when it is sure.
        batch: slices per forward pass.
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".
        progress: called with the cases done so far, and how many there are.
        should_stop: asked after each case.

    Raises:
        TrainingStopped: it was asked to stop.
    """
    place = choose(device, "auto")
    network = copy.deepcopy(network)
    place.put(network)
    chosen = np.unique(np.asarray(indices, np.int64))
    cases = np.unique(target.case_index[chosen])
    made_with = {
        "network": digest(network),
        "target": target.digest(),
        "trust": asdict(config.trust),
    }
    with SliceWriter(directory, "target", labelled=True, config=made_with) as writer:
        for done, number in enumerate(cases, start=1):
            case = target.cases[number]
            if case.case not in writer.done:
                rows = chosen[target.case_index[chosen] == number]
                found = np.concatenate([_seen_twice(network, target.images[part]) for part in chunks(rows, batch)])
                places = rows - np.searchsorted(target.case_index, number)
                lesion, kept = config.trust.believed(found, np.take(case.numbers, places))
                if kept.any():
                    images, labels = target.images[rows[kept]], lesion[kept].astype(np.uint8)
                    places = places[kept]
                    record = replace(
                        case,
                        numbers=tuple(case.numbers[place] for place in places),
                        brain_px=tuple(case.brain_px[place] for place in places),
                        lesion_px=lesion_pixels(images, labels),
                    )
                    writer.append(record, images, labels)
                else:
                    writer.fail(case.case, "the network is sure of none of its slices")
            if progress:
                progress(done, len(cases))
            if should_stop and should_stop() and done < len(cases):
                raise TrainingStopped(f"pseudo-labelling was stopped after {done} of {len(cases)} cases; it can go on")
    return SliceStore.open(directory)


_BRIGHTNESS: Final = 0.02
"""2 HU: scanners differ by as much."""


def _seen_twice(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """(n, H, W) uint8 → probabilities (n, H, W) float32."""
    darker, brighter = views(network_image(images), _BRIGHTNESS)
    mean: Tensor = (probabilities(network, darker) + probabilities(network, brighter).flip(-1)) / 2
    return without_bone(mean.numpy(), images / np.float32(255))


def mixed_batches(source: BatchAt, target: BatchAt, share: float) -> BatchAt:
    """Batches of which the last ``share`` comes from ``target``; what is unlabelled in either is left out."""

    def batch_at(step: int, size: int) -> AdaptationBatch:
        of_target = min(max(round(size * share), 1), size - 1)
        first, last = source(step, size - of_target), target(step, of_target)
        image, label = (torch.cat([getattr(part, name) for part in (first, last)]) for name in ("image", "label"))
        return AdaptationBatch(image, label, last.image)

    return batch_at


def painted_batches(
    store: SliceStore,
    config: SelfTrainingConfig,
    changes: AugmentConfig,
    seed: int,
    *,
    patch: Callable[[int], int | None] = lambda step: None,
) -> BatchAt:
    """Batches of pseudo-labelled target slices with painted bleeds, each slice once an epoch.

    Args:
        store: with labels.
        config: what is painted.
        changes: random changes of the slices.
        seed: of everything drawn.
        patch: step → side in pixels of the squares cut out; None for whole slices.

    Raises:
        TrainingError: there is no slice, or they have no labels.
    """
    if not len(store):
        raise TrainingError(f"{store.directory} holds no slice; the network was sure of none")
    deck = Deck(np.arange(len(store)), (seed, _DECK))
    labels = store.labels
    if labels is None:
        raise TrainingError(f"{store.directory} has no labels; pseudo-label it first")

    def batch_at(step: int, size: int) -> AdaptationBatch:
        rows = deck.deal(np.arange(step * size, (step + 1) * size))
        rng = np.random.default_rng([seed, _PAINT, step])
        shown, lesions = add_bleeds(store.images[rows], labels[rows], config.bleeds, rng)
        shown, lesions = paint(shown, lesions, config.paint, rng)
        rng = np.random.default_rng([seed, _CHANGES, step])
        image, label = augment(shown, lesions, changes, rng, patch=patch(step))
        return AdaptationBatch(image, label, image)

    return batch_at
