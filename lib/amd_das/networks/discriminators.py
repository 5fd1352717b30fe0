"""Discriminators: of image patches (Isola et al. 2017) and of features by domain (Tsai et al. 2018).

Their outputs are logits; sigmoid and labels are the losses' affair.
"""

from itertools import pairwise
from typing import Final, Literal, get_args

from torch import Tensor, nn
from torch.nn.functional import pad

Norm = Literal["batch", "instance"]

SLOPE: Final = 0.2
"""Of the leaky ReLU (paper)."""

MIN_FEATURES_PX: Final = 32
"""Side to which smaller feature maps are zero-padded: five halvings need it."""


class PatchDiscriminator(nn.Module):
    """PatchGAN: tells real images from made ones, patch by patch.

    A convolution with leaky ReLU, then convolutions with normalisation and leaky ReLU, then the one that gives the
    logits. With three in between, each logit sees 70 × 70 pixels (Isola et al. 2017, and the authors' code); the
    paper's text counts four. All but the last two halve the image.
    """

    def __init__(self, channels: int = 64, *, in_channels: int = 1, repeats: int = 3, norm: Norm = "batch") -> None:
        """Build it.

        Args:
            channels: of the first convolution; doubled by each of the next, to eight times at most.
            in_channels: channels of the image.
            repeats: convolutions with normalisation, at least 1.
            norm: "batch" (paper), by the batch's own mean and variance, or "instance" (CycleGAN), by each image's.
        """
        super().__init__()
        if norm not in get_args(Norm) or repeats < 1 or channels < 1:
            raise ValueError(
                f"norm {norm!r}, repeats {repeats}, channels {channels}: expected one of {', '.join(get_args(Norm))}, "
                "at least 1, at least 1"
            )
        layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE, True)]
        width = channels
        for number in range(1, repeats + 1):
            before, width = width, channels * min(2**number, 8)
            stride = 1 if number == repeats else 2
            layers += [
                nn.Conv2d(before, width, 4, stride=stride, padding=1, bias=False),
                # No running statistics: it is never used for evaluation.
                nn.BatchNorm2d(width, track_running_stats=False) if norm == "batch" else nn.InstanceNorm2d(width),
                nn.LeakyReLU(SLOPE, True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in_channels, H, W) float in [-1, 1], H and W of at least 24 → (N, 1, H', W') logits."""
        return self.layers(image)


class DomainDiscriminator(nn.Module):
    """Tells source features (1) from target features (0); ``D_fusion`` of stage 1 and ``D_seg`` of stage 2.

    Five convolutions of stride 2, leaky ReLU between them (paper, after Tsai et al. 2018).
    """

    def __init__(self, in_channels: int, channels: int = 64) -> None:
        """``in_channels`` of the features; ``channels`` of the first convolution, doubled by each of the next three."""
        super().__init__()
        widths = [in_channels, channels, 2 * channels, 4 * channels, 8 * channels]
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE, True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, stride=2, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) float → (N, 1, H / 32, W / 32) logits."""
        height, width = features.shape[-2:]
        return self.layers(pad(features, (0, max(0, MIN_FEATURES_PX - width), 0, max(0, MIN_FEATURES_PX - height))))


def init_normal(network: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, 0.02) and set their biases to 0 (CycleGAN, authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
