"""The settings of stage 2: what is minimised and how, and how networks are judged."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from amd_das.errors import ConfigError
from amd_das.networks.fcn import FcnConfig

Aligned = Literal["features", "prediction", "bottleneck"]
OptimiserName = Literal["sgd", "adamw"]
Decay = Literal["constant", "linear", "cosine"]
Statistics = Literal["source", "both"]


@dataclass(frozen=True, kw_only=True)
class AdaptationConfig:
    """What stage 2 minimises, and how. The defaults are the paper's, or where it is silent the authors' code's."""

    network: FcnConfig = field(default_factory=FcnConfig)
    """The FCN (paper: VGG-16)."""

    optimiser: OptimiserName = "sgd"
    """Of the FCN (paper); "adamw" is ours."""

    learning_rate: float = 0.1
    """Peak, of the FCN (paper: 0.1, for SGD)."""

    momentum: float = 0.7
    """Of SGD (paper)."""

    weight_decay: float = 0.0
    """Of the FCN (authors' code: none)."""

    discriminator_learning_rate: float = 0.001
    """Peak, of Adam (authors' code; paper: 0.01)."""

    discriminator_betas: tuple[float, float] = (0.9, 0.99)
    """Of Adam (paper)."""

    discriminator_channels: int = 64
    """Of a discriminator's first convolution (authors' code)."""

    warm_up: float = 0.0
    """Part of the steps over which learning rates rise from 0 (ours; paper: none)."""

    decay: Decay = "constant"
    """Of all learning rates (ours: "linear" in the second half of the steps, "cosine" after the warm-up; paper: none
    is told of)."""

    adversarial_weight: float = 0.001
    """λ_adv, of each aligned map (authors' code). 0 learns from the source alone: no discriminator is built."""

    aligned: tuple[Aligned, ...] = ("features",)
    """Maps that should not tell the domains apart: "features", the last decoder map (authors' code), "prediction", the
    probabilities (Tsai 2018), "bottleneck", the last encoder map. Each has a discriminator of its own."""

    dice_weight: float = 0.0
    """Of a Dice loss on the source, over the batch as a whole (ours, for small lesions; paper: none)."""

    dice_by_slice: float = 0.0
    """Part of the Dice loss that is the mean over slices with lesion, so that the smallest counts as much as the
    largest (ours)."""

    statistics: Statistics = "source"
    """What batch normalisation is by. "source" (authors' code): the source's batches; the target is seen by their
    running averages. "both" (ours): each batch of both domains together, so that training and use are alike."""

    average: float = 0.0
    """Decay of the running average of the FCN (ours), which is what should be kept then; 0: none (paper)."""

    clip_norm: float | None = None
    """Largest norm of an optimiser's gradients (ours); None: any (paper)."""

    def __post_init__(self) -> None:
        for name, kind in (("optimiser", OptimiserName), ("decay", Decay), ("statistics", Statistics)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(get_args(kind))}")
        if not set(self.aligned) <= set(get_args(Aligned)) or len(set(self.aligned)) < max(1, len(self.aligned)):
            raise ConfigError(f"aligned {self.aligned}: expected some of {', '.join(get_args(Aligned))}, each once")
        if min(self.learning_rate, self.discriminator_learning_rate) <= 0 or self.discriminator_channels < 1:
            raise ConfigError("learning rates and discriminator_channels: expected more than 0")
        if min(self.adversarial_weight, self.dice_weight, self.weight_decay) < 0:
            raise ConfigError("adversarial_weight, dice_weight and weight_decay: expected 0 or more")
        for name in ("warm_up", "average", "momentum"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more and below 1")
        if not 0.0 <= self.dice_by_slice <= 1.0:
            raise ConfigError(f"dice_by_slice {self.dice_by_slice}: expected a part, 0 to 1")


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """How networks are judged. All numbers are ours."""

    slices: int = 96
    """At most so many held-out slices of each domain are looked at, evenly spread."""

    batch: int = 8
    """Slices per forward pass."""

    threshold: float = 0.5
    """Probability from which on a pixel is lesion."""

    brightness: float = 0.03
    """Target slices are shown darker and brighter by this much of the window: 3 HU, as scanners differ."""

    cluster_px: int = 20
    """A slice has a prediction, or is bright, from so many pixels on."""

    presence: float = 0.2
    """Predictions are expected in this part of the bright slices; fewer lower the score in proportion."""

    support: float = 0.5
    """This part of the predicted pixels is expected to be bright; less lowers the score in proportion."""

    target_weight: float = 0.5
    """Weight of the target in the geometric mean with the source's Dice, 0 to 1."""

    def __post_init__(self) -> None:
        if min(self.slices, self.batch, self.cluster_px) < 1:
            raise ConfigError("slices, batch and cluster_px: expected at least 1")
        for name in ("threshold", "presence", "support"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected a part above 0 and below 1")
        if not 0.0 <= self.target_weight <= 1.0 or not 0.0 <= self.brightness < 0.5:
            raise ConfigError(
                f"target_weight {self.target_weight}, brightness {self.brightness}: expected 0 to 1 and 0 to 0.5"
            )
