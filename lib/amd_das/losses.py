"""The losses of both stages, by the paper's equations. They take tensors and know nothing of networks.

Each is a mean over the batch and all pixels or patches, where the paper sums over them, so that weights hold for
images of any size. All are computed in float32, whatever comes in.
"""

from typing import Final, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

GanForm = Literal["least_squares", "log"]

SOURCE, TARGET = 1.0, 0.0
"""What a domain discriminator should say (paper: z)."""

REAL: Final = 1.0
MADE: Final = 0.0


def adversarial_loss(logits: Tensor, real: bool, form: GanForm = "least_squares") -> Tensor:
    """How far a patch discriminator's answer is from ``real``.

    A discriminator minimises it with ``real`` as the image is (equation 3), a generator with True for what it made
    (equation 2, in the form that does not saturate).

    Args:
        logits: (N, 1, H, W) of a patch discriminator.
        real: what the discriminator should have said.
        form: "log" (paper: cross-entropy) or "least_squares" (authors' code, Mao et al. 2017), of the logits as
            they are.
    """
    if form == "log":
        return _cross_entropy(logits, REAL if real else MADE)
    if form != "least_squares":
        raise ValueError(f"form {form!r}: expected one of {', '.join(get_args(GanForm))}")
    return mse_loss(logits.float(), torch.full_like(logits, REAL if real else MADE, dtype=torch.float32))


def domain_loss(logits: Tensor, source: bool) -> Tensor:
    """How far a domain discriminator's answer is from ``source``: cross-entropy.

    The discriminator minimises it with the domain as it is (equations 7 and 21, source 1, target 0); a network that
    should hide the domain with True for the target's features (equations 6 and 22).

    Args:
        logits: (N, 1, H, W) of a domain discriminator.
        source: what the discriminator should have said.
    """
    return _cross_entropy(logits, SOURCE if source else TARGET)


def cycle_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """L1 between an image and its reconstruction by way of the other domain (equation 4); both (N, 1, H, W)."""
    return l1_loss(reconstruction.float(), image.float())


def identity_loss(translation: Tensor, image: Tensor) -> Tensor:
    """L1 between an image and its translation into the domain it is of already (CycleGAN); both (N, 1, H, W)."""
    return l1_loss(translation.float(), image.float())


def segmentation_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy (equations 5 and 20): (N, 1, H, W) logits against 0 or 1."""
    return binary_cross_entropy_with_logits(logits.float(), label.float())


def _cross_entropy(logits: Tensor, answer: float) -> Tensor:
    logits = logits.float()
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, answer))
