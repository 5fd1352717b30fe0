"""The FCN as bundles expect a network: one tensor in, one tensor out."""

from collections.abc import Sequence

from torch import Tensor

from amd_das.networks.fcn import Fcn, FcnConfig


class SliceFcn(Fcn):
    """(N, 1, H, W) float in [-1, 1] → (N, 1, H, W) logits; parameters are named as the FCN's."""

    def __init__(self, *, in_channels: int, stages: Sequence[Sequence[int]], decoder_tail: int) -> None:
        super().__init__(
            FcnConfig(in_channels=in_channels, stages=tuple(map(tuple, stages)), decoder_tail=decoder_tail)
        )

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        """See the class; raises ValueError when the channel count differs from the config's."""
        return super().forward(image).logits
