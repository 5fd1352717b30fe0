"""Stage 1 in small: networks of a few channels, and two domains of discs."""

import torch

from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig
from amd_das.synthesis.batches import SynthesisBatch
from amd_das.synthesis.config import SynthesisConfig

SIDE = 32


def tiny_config(**changes) -> SynthesisConfig:
    """The default losses with the smallest networks."""
    small = {
        "generator": GeneratorConfig(channels=2, layers=2, growth=2),
        "segmenter": FcnConfig(stages=((2,), (2,), (2,), (2,), (2,)), decoder_tail=2),
        "discriminator_channels": 2,
        "domain_channels": 2,
    }
    return SynthesisConfig(**{**small, **changes})


def disc_batch(seed: int, size: int = 2, side: int = SIDE) -> SynthesisBatch:
    """MRI: a dark disc on a bright head, labelled; CT: a bright disc on a dark head."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    distance = lambda middle: ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2).float().sqrt()  # noqa: E731
    head = (distance((side / 2, side / 2)) < 0.45 * side).float()

    def disc() -> torch.Tensor:
        middles = (torch.rand(size, 2, generator=generator) * 0.4 + 0.3) * side
        return torch.stack([(distance(middle) < side / 8).float() for middle in middles])[:, None]

    label, bleed = disc(), disc()
    return SynthesisBatch(mri=head * (1.2 - 0.8 * label) - 1, label=label, ct=head * (0.6 + 1.2 * bleed) - 1)
