"""What can be chosen in stage 1; the defaults are the paper's."""

from dataclasses import dataclass, field
from typing import get_args

from amd_das.errors import ConfigError
from amd_das.losses import GanForm
from amd_das.networks.discriminators import Norm
from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """The networks of stage 1, the weights of its losses and its optimisers."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """Shape of both generators."""

    discriminator_channels: int = 64
    """Of the image discriminators' first convolution (authors' code)."""

    discriminator_repeats: int = 3
    """Normalised convolutions of the image discriminators (authors' code, the 70 × 70 PatchGAN; paper: 4)."""

    discriminator_norm: Norm = "batch"
    """Normalisation in the image discriminators: "batch" (paper) or "instance" (authors' code)."""

    domain_channels: int = 64
    """Of the first convolution of ``D_fusion`` (authors' code)."""

    segmenter: FcnConfig = field(default_factory=FcnConfig)
    """Shape of both auxiliary segmenters (paper: the FCN of stage 2)."""

    gan_form: GanForm = "least_squares"
    """GAN objective: "least_squares" (authors' code) or "log" (paper)."""

    cycle_weight: float = 5.0
    """Of both cycle losses (paper; authors' code: 50)."""

    lesion_weight: float = 50.0
    """Of both segmenters' losses (paper); 0 builds no segmenters."""

    feature_weight: float = 15.0
    """Of hiding the domain from ``D_fusion`` (paper); 0 builds no ``D_fusion``."""

    identity_weight: float = 0.0
    """Of both identity losses (paper: none; authors' code: 5, which is 0.5 of CycleGAN's cycle weight 10)."""

    generator_rate: float = 2e-4
    """Learning rate of Adam (paper)."""

    discriminator_rate: float = 2e-4
    """Learning rate of Adam for both image discriminators (paper)."""

    betas: tuple[float, float] = (0.5, 0.99)
    """Of Adam for generators and image discriminators (paper; authors' code: 0.5, 0.999)."""

    domain_rate: float = 1e-3
    """Learning rate of Adam for ``D_fusion`` (authors' code)."""

    domain_betas: tuple[float, float] = (0.9, 0.99)
    """Of Adam for ``D_fusion`` (authors' code)."""

    segmenter_rate: float = 0.1
    """Learning rate of SGD (paper)."""

    segmenter_momentum: float = 0.7
    """Of SGD (paper)."""

    flat: float = 0.5
    """Part of the steps with full learning rates, which then fall linearly to 0 (CycleGAN, authors' code)."""

    clip_norm: float | None = 1000.0
    """Largest norm of one update's gradients; None for no clipping (ours: the generators' are 100 to 500 as a rule)."""

    pool: int = 50
    """Past images of each kind that the discriminators are reminded of (CycleGAN, authors' code)."""

    average: float = 0.999
    """Decay of the running average of the generators, which is what translates (ours)."""

    def __post_init__(self) -> None:
        for name in ("discriminator_channels", "discriminator_repeats", "domain_channels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("cycle_weight", "lesion_weight", "feature_weight", "identity_weight"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} {getattr(self, name)}: expected a weight, 0 or more")
        for name in ("generator_rate", "discriminator_rate", "domain_rate", "segmenter_rate"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} {getattr(self, name)}: expected a learning rate above 0")
        for name in ("betas", "domain_betas"):
            values = getattr(self, name)
            if len(values) != 2 or not all(0.0 <= value < 1.0 for value in values):
                raise ConfigError(f"{name} {values}: expected two numbers, each 0 or more and below 1")
        for name in ("segmenter_momentum", "average"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more and below 1")
        if not 0.0 <= self.flat <= 1.0:
            raise ConfigError(f"flat {self.flat}: expected a part of the steps, 0 to 1")
        if self.pool < 0 or (self.clip_norm is not None and not self.clip_norm > 0.0):
            raise ConfigError(
                f"pool {self.pool}, clip_norm {self.clip_norm}: expected 0 or more, and None or a number above 0"
            )
        for name, kind in (("gan_form", GanForm), ("discriminator_norm", Norm)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(get_args(kind))}")
