"""Table 5: FCN and MONAI's U-Net on labelled CT, after nothing, after slices of MRI or pseudo-CT, or from AMD-DAS."""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from torch import Tensor, nn

from amd_das.errors import TrainingError
from amd_das.losses import segmentation_loss
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.reproduction.rows import Network
from amd_das.segmentation.batches import adaptation_batches
from amd_das.slices import SliceStore
from amd_das.training.device import choose
from amd_das.training.learner import seeded
from amd_das.training.progress import StopCheck

FOLDS: Final = 5
"""By patient (paper)."""

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


def folds(store: SliceStore, count: int = FOLDS) -> list[np.ndarray]:
    """The slices of each fold; no patient is in two, and each fold gets its share of those who bleed.

    Raises:
        TrainingError: there are fewer patients than folds.
    """
    bleeds: dict[str, bool] = {}
    for case in store.cases:
        bleeds[case.patient] = bleeds.get(case.patient, False) or any(case.lesion_px)
    if len(bleeds) < count:
        raise TrainingError(
            f"{store.directory} holds {len(bleeds)} patient(s); {count} folds need at least as many. Add labelled CT"
        )
    order = sorted(bleeds, key=lambda one: (not bleeds[one], hashlib.sha256(one.encode()).hexdigest()))
    fold_of = {patient: number % count for number, patient in enumerate(order)}
    fold = np.array([fold_of[case.patient] for case in store.cases])[store.case_index]
    return [np.flatnonzero(fold == number) for number in range(count)]


def train(
    network: nn.Module, store: SliceStore, rows: np.ndarray, config: PipelineConfig, should_stop: StopCheck
) -> Mapping[str, Tensor]:
    """Train on labelled slices with the preset's optimiser, batches and steps; returns the state, on the CPU.

    Raises:
        TrainingError: it was asked to stop, or the loss is not finite.
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
            raise TrainingError("stopped; run again to continue with this row")
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
