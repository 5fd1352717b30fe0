"""The two generators of stage 1, MRI → CT and CT → MRI, which share their middle (AMD-DAS, sections 3.1.3 and 4.2.1).

Each is an encoder of its own, the fusion module, and a decoder of its own. The fusion module maps both domains'
encodings to one space of features; its output is what ``D_fusion`` sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle

from amd_das.networks.discriminators import init_normal

STRIDE = 4
"""Two convolutions of stride 2: images' sides are multiples of this many pixels."""

MIN_PX = 8
"""Smallest side of an image: its encoding must have more than one pixel to be normalised."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Shape of both generators; stored beside the weights, enough to build them again."""

    in_channels: int = 1
    """Channels of an image of either domain (paper: one grey channel)."""

    channels: int = 64
    """Of the first convolution; the encoding has four times as many (authors' code)."""

    blocks: int = 1
    """Dense blocks of the fusion module (authors' code)."""

    layers: int = 5
    """Convolutions of a dense block, each seeing all before it (authors' code)."""

    growth: int = 12
    """Channels that each of them adds (authors' code)."""

    shared_fusion: bool = True
    """One fusion module for both generators (paper); False gives each its own, as in CycleGAN."""

    skip: bool = True
    """The decoder sees the encoding beside the fused features (paper); False hands it those alone (authors' code)."""

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in ("in_channels", "channels", "blocks", "layers", "growth")}
        if min(numbers.values()) < 1:
            raise ValueError(f"generator {numbers}: expected at least 1 each")

    @property
    def width(self) -> int:
        """Channels of the encoding and of the fused features."""
        return STRIDE * self.channels

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "GeneratorConfig":
        """From ``asdict`` of one that went through JSON; raises TypeError or ValueError for anything else."""
        return cls(**record)


class Translated(NamedTuple):
    """What a generator gives."""

    image: Tensor
    """(N, in_channels, H, W) float32 in [-1, 1], of the other domain."""

    features: Tensor
    """(N, width, H / 4, W / 4) float, the fused features of the image that came in."""


def _normalised(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def _doubling(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)


class Encoder(nn.Sequential):
    """(N, in_channels, H, W) in [-1, 1] → (N, width, H / 4, W / 4)."""

    def __init__(self, config: GeneratorConfig) -> None:
        c = config.channels
        super().__init__(
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(config.in_channels, c, 7, bias=False), c),
            *_normalised(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=False), 2 * c),
            *_normalised(nn.Conv2d(2 * c, 4 * c, 3, stride=2, padding=1, bias=False), 4 * c),
        )


class DenseBlock(nn.Module):
    """(N, width, H, W) → the same shape: densely connected layers, then one that brings the width back."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, growth = config.width, config.growth
        self.layers = nn.ModuleList(
            nn.Sequential(*_normalised(nn.Conv2d(width + number * growth, growth, 3, padding=1, bias=False), growth))
            for number in range(config.layers)
        )
        wide = width + config.layers * growth
        self.narrow = nn.Sequential(*_normalised(nn.Conv2d(wide, width, 3, padding=1, bias=False), width))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return self.narrow(x)


class Fusion(nn.Sequential):
    """(N, width, H, W) encoding → features of the same shape, by dense blocks (Huang et al. 2017)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(*(DenseBlock(config) for _ in range(config.blocks)))


class OutputConv(nn.Conv2d):
    """A convolution that keeps the size of what came in padded, for few output channels and sides multiples of 4.

    The same numbers as its parent's. It gives 4 × 4 pixels at once as so many channels, since a single one leaves most
    of a processor's vector lanes empty: three times as fast on CPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H + kernel - 1, W + kernel - 1) → (N, out_channels, H, W)."""
        block, last = STRIDE, STRIDE - 1
        shifts = [(dx, last - dx, dy, last - dy) for dy in range(block) for dx in range(block)]
        filters = torch.stack([pad(self.weight, shift) for shift in shifts], dim=1).flatten(0, 1)
        bias = None if self.bias is None else self.bias.repeat_interleave(block * block)
        return pixel_shuffle(conv2d(x, filters, bias, stride=block), block)


class Decoder(nn.Module):
    """Encoding and features, each (N, width, H / 4, W / 4) → (N, in_channels, H, W) float32 in [-1, 1]."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.skip = config.skip
        c, width = config.channels, config.width
        self.layers = nn.Sequential(
            *_normalised(_doubling(2 * width if config.skip else width, 2 * c), 2 * c),
            *_normalised(_doubling(2 * c, c), c),
            nn.ReflectionPad2d(3),
            OutputConv(c, config.in_channels, 7),
        )

    def forward(self, encoding: Tensor, features: Tensor) -> Tensor:
        x = torch.cat((encoding, features), 1) if self.skip else features
        return torch.tanh(self.layers(x).float())


class SharedGenerators(nn.Module):
    """Both generators: images of one domain → :class:`Translated` into the other.

    Images are (N, in_channels, H, W) float in [-1, 1], their sides multiples of 4 and at least 8 pixels; others raise
    ValueError.
    """

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        self.encoder_mri, self.encoder_ct = Encoder(config), Encoder(config)
        self.fusions = nn.ModuleList(Fusion(config) for _ in range(1 if config.shared_fusion else 2))
        self.decoder_mri, self.decoder_ct = Decoder(config), Decoder(config)
        init_normal(self)

    def mri_to_ct(self, mri: Tensor) -> Translated:
        """MRI → pseudo-CT, and ``F_MRI``."""
        encoding = self.encoder_mri(self._checked(mri))
        features = self.fusions[0](encoding)
        return Translated(self.decoder_ct(encoding, features), features)

    def ct_to_mri(self, ct: Tensor) -> Translated:
        """CT → pseudo-MRI, and ``F_CT``."""
        encoding = self.encoder_ct(self._checked(ct))
        features = self.fusions[-1](encoding)
        return Translated(self.decoder_mri(encoding, features), features)

    def _checked(self, image: Tensor) -> Tensor:
        sides = image.shape[2:]
        if (
            image.ndim != 4
            or image.shape[1] != self.config.in_channels
            or any(side % STRIDE or side < MIN_PX for side in sides)
        ):
            raise ValueError(
                f"expected a (N, {self.config.in_channels}, H, W) image with H and W multiples of {STRIDE} from "
                f"{MIN_PX} on, got shape {tuple(image.shape)}; pad or crop it"
            )
        return image
