"""Judging a network without target labels.

Two questions are asked of a network. Does it find the lesions of held-out source slices: their Dice. And does it say
the same of a held-out target slice whether that was scanned a little darker, or a little brighter and mirrored: the
Dice between the two predictions. A network that tells lesions by what they are keeps its outlines; one that follows
noise or one grey value does not. Agreement alone is also had by saying nothing, or the same everywhere, so it counts
only as far as

- *presence*: there is a prediction in at least a part of the slices that have a cluster of pixels above 120 of 255,
  which is what the matching takes for blood (nothing anywhere scores 0);
- *support*: at least half of the predicted pixels lie in such clusters (a blob of ordinary tissue scores little).

Neither asks that everything bright be found: much of it is other bleeding, calcification and vessels. What is
bright but no lesion is left to the source's Dice, and the score is the geometric mean of both: neither makes up for the
other's collapse. Where the user brings a labelled target, its Dice is taken instead, and the record says so.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor, nn

from amd_das.errors import TrainingError
from amd_das.networks.fcn import STRIDE
from amd_das.segmentation.config import SelectionConfig
from amd_das.slices import SliceStore, network_image
from amd_das.slices.store import LESION_ABOVE
from amd_das.training.device import choose

_CLUSTER: Final = 5  # side of the square whose mean is compared, pixels: noise of single pixels does not count


class Agreement(NamedTuple):
    """How a network behaves on target slices; each in [0, 1]."""

    agreement: float
    """Dice between predictions on both views, over all pixels; 0 where nothing is predicted."""

    presence: float
    """Part of the expected number of slices with a prediction that was reached."""

    support: float
    """Part of the expected brightness of predicted pixels that was reached."""

    @property
    def score(self) -> float:
        """What counts, in [0, 1]."""
        return self.agreement * self.presence * self.support


def spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of (n,) indices, evenly spread."""
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(np.int64)]


def pooled_dice(network: nn.Module, store: SliceStore, indices: np.ndarray, config: SelectionConfig) -> float:
    """Dice of a network over all pixels of labelled slices together; 0 where there is neither lesion nor prediction.

    Args:
        network: image (N, 1, H, W) in [-1, 1] → an output with ``logits`` (N, 1, H, W).
        store: labelled.
        indices: (n,) slices; at most ``config.slices`` of them are looked at.
        config: how.
    """
    if store.labels is None:
        raise TrainingError(f"{store.directory} has no labels; its Dice cannot be computed")
    both = total = 0
    for rows in chunks(spread(indices, config.slices), config.batch):
        pred = predict(network, network_image(store.images[rows]), config.threshold)
        label = torch.from_numpy(store.labels[rows] > 0)
        both += int((pred & label).sum())
        total += int(pred.sum() + label.sum())
    return 2 * both / max(total, 1)


def target_agreement(
    network: nn.Module, store: SliceStore, indices: np.ndarray, config: SelectionConfig
) -> Agreement | None:
    """How far a network holds to its predictions on slices without labels; None where none of them is bright.

    Args:
        network: image (N, 1, H, W) in [-1, 1] → an output with ``logits`` (N, 1, H, W).
        store: CT slices; labels are not looked at.
        indices: (n,) slices; at most ``config.slices`` of them are looked at.
        config: how.
    """
    both = total = bright_px = slices = bright_slices = 0
    for rows in chunks(spread(indices, config.slices), config.batch):
        bright = torch.from_numpy(bright_clusters(store.images[rows]))
        darker, brighter = views(network_image(store.images[rows]), config.brightness)
        first = predict(network, darker, config.threshold)
        second = predict(network, brighter, config.threshold).flip(-1)
        both += int((first & second).sum())
        total += int(first.sum() + second.sum())
        bright_px += int((first & bright).sum() + (second & bright).sum())
        slices += sum(int((pred.sum((1, 2)) >= config.cluster_px).sum()) for pred in (first, second))
        bright_slices += 2 * int((bright.sum((1, 2)) >= config.cluster_px).sum())
    if not bright_slices:
        return None
    return Agreement(
        agreement=2 * both / max(total, 1),
        presence=min(1.0, slices / (config.presence * bright_slices)),
        support=min(1.0, bright_px / max(total, 1) / config.support),
    )


def score(source: float | None, target: Agreement | None, config: SelectionConfig) -> float:
    """One number from both domains, in [0, 1]; from one where the other cannot be judged, 0 where neither can."""
    if source is None or target is None:
        return source or (target.score if target else 0.0)
    return source ** (1 - config.target_weight) * target.score**config.target_weight


def views(image: Tensor, brightness: float) -> tuple[Tensor, Tensor]:
    """A slice a little darker, and a little brighter and mirrored left to right.

    Args:
        image: (N, 1, H, W) float in [-1, 1], -1 outside the brain, which stays so.
        brightness: difference from the original, as a part of the window.
    """
    inside = image > -1
    darker, brighter = (torch.where(inside, image + 2 * shift, image) for shift in (-brightness, brightness))
    return darker.clamp(-1, 1), brighter.clamp(-1, 1).flip(-1)


def bright_clusters(images: np.ndarray) -> np.ndarray:
    """Where a CT is as bright as blood over some pixels together, (N, H, W) uint8 → bool."""
    return uniform_filter(images.astype(np.float32), size=(0, _CLUSTER, _CLUSTER), mode="constant") > LESION_ABOVE


def predict(network: nn.Module, image: Tensor, threshold: float) -> Tensor:
    """(N, 1, H, W) float in [-1, 1] on the CPU → (N, H, W) bool on the CPU, True where lesion."""
    return probabilities(network, image) >= threshold


@torch.no_grad()
def probabilities(network: nn.Module, image: Tensor) -> Tensor:
    """(N, 1, H, W) float in [-1, 1] on the CPU → (N, H, W) float32 in [0, 1] on the CPU, 0 beyond all brains.

    The network is left in the mode it was in. Empty margins common to all slices are not computed. In bf16 where the
    device multiplies it in hardware.
    """
    device = next(network.parameters()).device
    seen = (image > -1).any(0)[0]
    rows, columns = _extent(seen.any(1)), _extent(seen.any(0))
    before = network.training
    network.eval()
    try:
        with choose(str(device), "auto").autocast():
            logits = network(image[..., rows, columns].to(device)).logits
    finally:
        network.train(before)
    found = torch.zeros(image.shape[0], *image.shape[2:])
    found[:, rows, columns] = torch.sigmoid(logits[:, 0].float()).cpu()
    return found


def _extent(seen: Tensor) -> slice:
    """From the first to the last True of (n,), widened to what the FCN pads to anyway; everything where none is."""
    places = torch.nonzero(seen)
    if not len(places):
        return slice(0, len(seen))
    first, last = int(places[0]), int(places[-1]) + 1
    length = min(len(seen), -(-(last - first) // STRIDE) * STRIDE)
    start = min(first, len(seen) - length)
    return slice(start, start + length)


def chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
