"""FCN and MONAI's U-Net, trained on labelled slices alone (Table 5)."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from torch import Tensor, nn

from amd_das.errors import TrainingError, TrainingStopped
from amd_das.losses import segmentation_loss
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.reproduction.rows import Network
from amd_das.segmentation.batches import adaptation_batches
from amd_das.slices import SliceStore
from amd_das.training.device import choose
from amd_das.training.learner import seeded
from amd_das.training.progress import StopCheck

MOMENTUM: Final = 0.7
"""Of SGD (paper)."""


class Output(NamedTuple):
    """As the FCN's."""

    logits: Tensor
    """(N, 1, H, W)."""


class NamedUNet(nn.Module):
    """MONAI's two-dimensional U-Net with a named output; sides must be multiples of 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = tuple(width * 2**level for level in range(5))
        self.net = UNet(
            spatial_dims=2, in_channels=1, out_channels=1, channels=channels, strides=(2, 2, 2, 2), norm="batch"
        )

    def forward(self, image: Tensor) -> Output:
        """(N, 1, H, W) float in [-1, 1]."""
        height, width = image.shape[-2:]
        padded = nn.functional.pad(image, (0, -width % 16, 0, -height % 16), value=-1.0)
        return Output(self.net(padded)[..., :height, :width])


def build(network: Network, config: PipelineConfig) -> nn.Module:
    """A network with random weights, of the preset's width."""
    with seeded(config.seed):
        fcn = config.segmentation.network
        return Fcn(fcn) if network == "fcn" else NamedUNet(max(4, fcn.stages[0][0] // 2))


def train(
    network: nn.Module,
    store: SliceStore,
    rows: np.ndarray,
    config: PipelineConfig,
    tell: Callable[[int, int], None],
    should_stop: StopCheck,
) -> Mapping[str, Tensor]:
    """Train on labelled slices with the preset's optimiser, batches and steps; returns the state, on the CPU.

    Args:
        network: of :func:`build`.
        store: labelled.
        rows: (n,) slices to learn from.
        config: its segmentation and batches.
        tell: told the step and their number.
        should_stop: asked before each step.

    Raises:
        TrainingStopped: it was asked to; nothing is kept.
        TrainingError: the loss is not finite.
    """
    fit, stage = config.segmentation_fit, config.segmentation
    place = choose(fit.device, "auto")
    place.put(network)
    network.train()
    parameters = list(network.parameters())
    optimiser: torch.optim.Optimizer
    if stage.optimiser == "sgd":
        optimiser = torch.optim.SGD(parameters, lr=stage.learning_rate, momentum=MOMENTUM)
    else:
        optimiser = torch.optim.AdamW(parameters, lr=stage.learning_rate, weight_decay=stage.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, fit.steps))
    batch_at = adaptation_batches(store, store, rows, config.batches, config.seed, target_indices=rows)
    dice = DiceLoss(sigmoid=True, batch=True)
    for step in range(fit.steps):
        if should_stop():
            raise TrainingStopped("stopped; start again to continue with this fold")
        tell(step, fit.steps)
        batch = batch_at(step, fit.batch)
        image, label = batch.image.to(place.device), batch.label.to(place.device)
        with place.autocast():
            logits = network(image).logits.float()
        loss = segmentation_loss(logits, label) + stage.dice_weight * dice(logits, label)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {step}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}
