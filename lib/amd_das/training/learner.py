"""What a stage is to the engine, and the pieces every train step is made of."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from amd_das.errors import TrainingError
from amd_das.training.parallel import average_gradients


class NotFiniteError(TrainingError):
    """A gradient or loss is not finite; the engine restores the last good state."""


class Learner(ABC):
    """Networks, their optimisers, and what one step does with a batch.

    Construct it under `seeded`, on the CPU; the engine moves ``modules`` to the device. An average of the weights
    (`averages.average_of`) belongs in ``modules``, an image pool's state in `extra_state`.
    """

    name: str
    """The stage, in a word."""

    modules: dict[str, nn.Module]
    """All are checkpointed, moved to the device and put in training mode."""

    optimisers: dict[str, Optimizer]
    """All are checkpointed."""

    @abstractmethod
    def step(self, batch: Any, step: int, total: int) -> dict[str, float]:
        """One step: sets learning rates, and runs one `update` per optimiser.

        Args:
            batch: named tuple of tensors on the device.
            step: number of this step, 0 to ``total - 1``.
            total: steps of the whole training.

        Returns:
            Losses, the same names at every step; none that is not finite goes unnoticed.
        """

    def pictures(self) -> dict[str, Tensor]:
        """Of the last batch, for TensorBoard: each (N, 1, H, W) float in [0, 1]."""
        return {}

    def extra_state(self) -> dict[str, Any]:
        """What else a checkpoint needs: tensors, numbers, strings, lists and dictionaries of them."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave; tensors come on the CPU."""
        if state:
            raise TrainingError(f"{self.name}: the checkpoint holds {', '.join(state)}; expected no extra state")


def update(optimiser: Optimizer, loss: Tensor, *, clip_norm: float | None) -> float:
    """One optimiser's step: zero, backward, average over processes, clip, step.

    Args:
        optimiser: its parameters are updated. Gradients of others should be off: see `frozen`.
        loss: scalar, float32.
        clip_norm: largest norm of all gradients together; None for no clipping.

    Returns:
        The gradients' norm before clipping.

    Raises:
        NotFiniteError: a gradient is not finite; the parameters were left as they are.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()
        average_gradients(parameters)
        norm = clip_grad_norm_(parameters, math.inf if clip_norm is None else clip_norm).item()
        if not math.isfinite(norm):
            raise NotFiniteError(f"the gradients' norm is {norm} at a loss of {loss.item():.4g}")
        optimiser.step()
    torch.clear_autocast_cache()  # low-precision copies of the old weights
    return norm


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Parameters of the modules take no gradient inside; afterwards each is as it was."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    before = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, required in zip(parameters, before, strict=True):
            parameter.requires_grad_(required)


def linear_decay(step: int, total: int, *, flat: float = 0.5) -> float:
    """Factor of the learning rate: 1 over the first ``flat`` part of the steps, then linear towards 0."""
    return min(1.0, (total - step) / (total * (1.0 - flat))) if flat < 1.0 else 1.0


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """For all parameters of the optimiser."""
    for group in optimiser.param_groups:
        group["lr"] = rate


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch draws from this seed inside; afterwards it goes on as if nothing had been drawn."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(seed)
        yield
