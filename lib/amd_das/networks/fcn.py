"""The paper's FCN: a VGG-16 encoder and a decoder that adds the encoder's maps element by element.

Simonyan and Zisserman 2015 (configuration D) for the encoder; Long et al. 2015 for the skips; AMD-DAS, section 3.2,
for their joining by element-wise addition. Batch normalisation is ours: no ImageNet weights can be assumed, and a
VGG-16 without it hardly trains from scratch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

STRIDE = 32
"""Five poolings: the network pads its input to a multiple of this many pixels and crops its output again."""


@dataclass(frozen=True, kw_only=True)
class FcnConfig:
    """Shape of the FCN; stored beside the weights, enough to build the network again."""

    in_channels: int = 1
    """Channels of the input slice (paper: one grey channel)."""

    stages: tuple[tuple[int, ...], ...] = (
        (64, 64),
        (128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (512, 512, 512),
    )
    """Channels of each convolution between two poolings (VGG-16, configuration D)."""

    decoder_tail: int = 32
    """Channels of the last decoder map, the hidden features handed to the domain discriminator (ours)."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "FcnConfig":
        """From ``asdict`` of one that went through JSON; raises KeyError or TypeError for anything else."""
        return cls(**{**record, "stages": tuple(map(tuple, record["stages"]))})

    @classmethod
    def narrowed(cls, divisor: int) -> "FcnConfig":
        """VGG-16 with each channel count divided: 2 needs a quarter of the arithmetic, for training without a GPU."""
        return cls(stages=tuple(tuple(width // divisor for width in stage) for stage in cls().stages))


class FcnOutput(NamedTuple):
    """What one forward pass gives."""

    logits: Tensor
    """(N, 1, H, W) float, before the sigmoid, at input size."""

    features: Tensor
    """(N, decoder_tail, H', W') float, the last decoder map before the classifier, H' and W' padded to the stride."""


def _conv_block(channels: Sequence[int], in_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for out_channels in channels:
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = out_channels
    return nn.Sequential(*layers)


def _upsample_block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Fcn(nn.Module):
    """(N, in_channels, H, W) float in [-1, 1] → :class:`FcnOutput`; any H and W of at least one pixel."""

    def __init__(self, config: FcnConfig | None = None) -> None:
        super().__init__()
        self.config = config or FcnConfig()
        stages = self.config.stages
        widths = [stage[-1] for stage in stages]
        inputs = [self.config.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(_conv_block(stage, width) for stage, width in zip(stages, inputs, strict=True))
        self.pool = nn.MaxPool2d(2)
        ups = [*widths[-2::-1], self.config.decoder_tail]
        self.decoder = nn.ModuleList(
            _upsample_block(width, out) for width, out in zip([widths[-1], *ups[:-1]], ups, strict=True)
        )
        self.classifier = nn.Conv2d(self.config.decoder_tail, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        if self.classifier.bias is not None:
            nn.init.constant_(self.classifier.bias, -3.0)  # lesions are rare: start near "no blood" (ours)

    def forward(self, image: Tensor) -> FcnOutput:
        """See the class; raises ValueError when the channel count differs from the config's."""
        if image.ndim != 4 or image.shape[1] != self.config.in_channels:
            raise ValueError(f"expected a (N, {self.config.in_channels}, H, W) image, got shape {tuple(image.shape)}")
        height, width = image.shape[-2:]
        x = nn.functional.pad(image, (0, -width % STRIDE, 0, -height % STRIDE), value=-1.0)
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = self.pool(stage(x))
            skips.append(x)
        x = skips.pop()
        for upsample in self.decoder:
            x = upsample(x)
            if skips:
                x = x + skips.pop()
        logits = self.classifier(x)[..., :height, :width]
        return FcnOutput(logits=logits, features=x)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def probabilities(logits: Tensor) -> Tensor:
    """Logits of any shape → probabilities in [0, 1], float32."""
    return torch.sigmoid(logits.float())
