"""Stage 2: the FCN learns to segment the labelled source while a discriminator keeps it from telling the domains apart.

AMD-DAS, section 3.2: equations 20 to 23. Source is 1, target is 0.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from amd_das.losses import domain_loss, segmentation_loss
from amd_das.networks.discriminators import DomainDiscriminator
from amd_das.networks.fcn import Fcn
from amd_das.preprocessing.window import from_network
from amd_das.segmentation.batches import AdaptationBatch
from amd_das.segmentation.config import AdaptationConfig
from amd_das.training.averages import average_of
from amd_das.training.learner import Learner, frozen, linear_decay, set_learning_rate, update

_MIN_FACTOR: Final = 1e-3  # the learning rate never falls below this part of its peak


class _Seen(NamedTuple):
    """What the FCN makes of images."""

    logits: Tensor
    """(N, 1, H, W)."""

    maps: dict[str, Tensor]
    """By the name of the map, (N, C, H', W')."""


class AdaptationLearner(Learner):
    """The FCN, its average where one is asked for, and a discriminator for each aligned map."""

    name = "segmentation"

    def __init__(self, config: AdaptationConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        """Build the networks; construct it under `amd_das.training.learner.seeded`.

        Args:
            config: see there.
            weights: state of an FCN to start from; None for random weights.
        """
        self.config = config
        self.steps_done = 0
        """Steps of the whole training so far, those before a resume too."""

        self.fcn = Fcn(config.network)
        if weights is not None:
            self.fcn.load_state_dict(weights)
        channels = {
            "features": config.network.decoder_tail,
            "prediction": 1,
            "bottleneck": config.network.stages[-1][-1],
        }
        names = config.aligned if config.adversarial_weight > 0 else ()
        self.discriminators: dict[str, DomainDiscriminator] = {
            name: DomainDiscriminator(channels[name], config.discriminator_channels) for name in names
        }
        self.average = _average_with_statistics(self.fcn, config.average) if config.average else None
        self.modules = {
            "fcn": self.fcn,
            **({"average": self.average} if self.average is not None else {}),
            **{f"discriminator_{name}": discriminator for name, discriminator in self.discriminators.items()},
        }
        self.optimisers: dict[str, Optimizer] = {"fcn": _fcn_optimiser(self.fcn, config)}
        for name, discriminator in self.discriminators.items():
            self.optimisers[f"discriminator_{name}"] = Adam(
                discriminator.parameters(), lr=config.discriminator_learning_rate, betas=config.discriminator_betas
            )
        self._whole_dice = DiceLoss(sigmoid=True, batch=True)
        self._slice_dice = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)
        self._last: dict[str, Tensor] = {}

    @property
    def network(self) -> nn.Module:
        """What should be judged, kept and used: the average, or the FCN where there is none."""
        return self.fcn if self.average is None else self.average.module

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take an FCN's state, of the same sizes, in place of the random start."""
        self.fcn.load_state_dict(weights)
        if self.average is not None:
            self.average.module.load_state_dict(weights)

    def step(self, batch: AdaptationBatch, step: int, total: int) -> dict[str, float]:
        """Update the FCN on both domains, then each discriminator; see `Learner.step`."""
        factor = learning_rate_factor(self.config, step, total)
        for name, optimiser in self.optimisers.items():
            peak = self.config.learning_rate if name == "fcn" else self.config.discriminator_learning_rate
            set_learning_rate(optimiser, peak * factor)
        source, target = self._see(batch)
        losses = self._update_fcn(source, target, batch.label)
        if target is not None:
            losses |= self._update_discriminators(source, target)
        if self.average is not None:
            self.average.update_parameters(self.fcn)
        self.steps_done = step + 1
        self._last = {"image": batch.image, "label": batch.label, "pred": source.logits.detach()}
        if target is not None:
            self._last |= {"target": batch.target, "target_pred": target.logits.detach()}
        return losses

    def pictures(self) -> dict[str, Tensor]:
        """Images, label and probabilities of the last batch."""
        images, logits = ("image", "target"), ("pred", "target_pred")
        return {
            **{name: from_network(self._last[name]) for name in images if name in self._last},
            **{name: torch.sigmoid(self._last[name].float()) for name in logits if name in self._last},
            **{name: self._last[name] for name in ("label",) if name in self._last},
        }

    def extra_state(self) -> dict[str, Any]:
        return {"steps_done": self.steps_done}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]

    def _see(self, batch: AdaptationBatch) -> tuple[_Seen, _Seen | None]:
        """Both domains through the FCN; the target only where there is a discriminator to please."""
        if not self.discriminators:
            return self._forward(batch.image), None
        if self.config.statistics == "source":
            source = self._forward(batch.image)
            with _running_statistics(self.fcn):
                return source, self._forward(batch.target)
        count = len(batch.image)
        both = self._forward(torch.cat([batch.image, batch.target]))
        return (
            _Seen(both.logits[:count], {name: hidden[:count] for name, hidden in both.maps.items()}),
            _Seen(both.logits[count:], {name: hidden[count:] for name, hidden in both.maps.items()}),
        )

    def _forward(self, image: Tensor) -> _Seen:
        with _outputs(self.fcn.encoder[-1]) as bottleneck:
            output = self.fcn(image)
        maps = {
            "features": lambda: output.features,
            "prediction": lambda: torch.sigmoid(output.logits.float()),
            "bottleneck": lambda: bottleneck[0],
        }
        return _Seen(output.logits, {name: maps[name]() for name in self.discriminators})

    def _update_fcn(self, source: _Seen, target: _Seen | None, label: Tensor) -> dict[str, float]:
        """L = L_seg(source) + λ_adv · L_adv(target), equations 19, 20 and 22."""
        losses = {"segmentation": segmentation_loss(source.logits, label)}
        loss = losses["segmentation"]
        if self.config.dice_weight:
            losses["dice"] = self._dice(source.logits.float(), label)
            loss = loss + self.config.dice_weight * losses["dice"]
        with frozen(*self.discriminators.values()):
            if target is not None:
                answers = (self.discriminators[name](hidden) for name, hidden in target.maps.items())
                losses["adversarial"] = torch.stack([domain_loss(answer, source=True) for answer in answers]).sum()
                loss = loss + self.config.adversarial_weight * losses["adversarial"]
            update(self.optimisers["fcn"], loss, clip_norm=self.config.clip_norm)
        return {name: value.item() for name, value in losses.items()}

    def _dice(self, logits: Tensor, label: Tensor) -> Tensor:
        """(N, 1, H, W) twice → scalar: over the batch as a whole, and the mean over slices with lesion."""
        loss: Tensor = self._whole_dice(logits, label)
        part, shown = self.config.dice_by_slice, label.flatten(1).any(1)
        if part and shown.any():
            loss = (1 - part) * loss + part * self._slice_dice(logits[shown], label[shown])
        return loss

    def _update_discriminators(self, source: _Seen, target: _Seen) -> dict[str, float]:
        """L_D on maps of both domains as the FCN made them before its update, equation 21."""
        losses, right = 0.0, []
        for name, discriminator in self.discriminators.items():
            on_source, on_target = (discriminator(seen.maps[name].detach()) for seen in (source, target))
            loss = domain_loss(on_source, source=True) + domain_loss(on_target, source=False)
            update(self.optimisers[f"discriminator_{name}"], loss, clip_norm=self.config.clip_norm)
            losses += loss.item()
            right += [(on_source > 0).float().mean().item(), (on_target <= 0).float().mean().item()]
        return {"discriminator": losses, "domain_accuracy": sum(right) / len(right)}


def learning_rate_factor(config: AdaptationConfig, step: int, total: int) -> float:
    """Part of the peak learning rate at a step, 0 to 1."""
    warm_up = config.warm_up * total
    if step < warm_up:
        return max((step + 1) / (warm_up + 1), _MIN_FACTOR)
    if config.decay == "linear":
        return max(linear_decay(step, total), _MIN_FACTOR)
    if config.decay == "cosine":
        return max(0.5 * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))), _MIN_FACTOR)
    return 1.0


def _fcn_optimiser(fcn: Fcn, config: AdaptationConfig) -> Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "sgd":
        return SGD(fcn.parameters(), lr=rate, momentum=config.momentum, weight_decay=decay)
    return AdamW(fcn.parameters(), lr=rate, weight_decay=decay)


def _average_with_statistics(fcn: Fcn, decay: float) -> AveragedModel:
    """An average whose batch statistics are averaged too: those of the last few batches are not of its weights."""
    average = average_of(fcn, decay)
    follow: Callable[..., Tensor] = average.avg_fn  # type: ignore[assignment]  # set by average_of
    average.use_buffers = True
    average.avg_fn = lambda mean, value, count: follow(mean, value, count) if mean.is_floating_point() else value
    return average


@contextmanager
def _running_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation goes by its running averages inside, and leaves them alone."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
    try:
        for layer in layers:
            layer.eval()
        yield
    finally:
        for layer in layers:
            layer.train()


@contextmanager
def _outputs(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what a module gives inside."""
    found: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    try:
        yield found
    finally:
        handle.remove()
