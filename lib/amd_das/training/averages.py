"""A running average of a network's weights, which is better than the weights themselves."""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from amd_das.errors import ConfigError


def average_of(module: nn.Module, decay: float = 0.999) -> AveragedModel:
    """An exponential moving average that begins as a copy of the module.

    Call ``update_parameters(module)`` after each of the module's updates; ``.module`` is the averaged network. Early on
    the decay is (1 + n) / (10 + n), so that the random start is soon forgotten. Buffers are copied, not averaged.

    Args:
        module: is copied.
        decay: share of the average that remains in a step, 0 to below 1.

    Raises:
        ConfigError: the decay is no such share.
    """
    if not 0.0 <= decay < 1.0:
        raise ConfigError(f"decay {decay}: expected 0 or more and below 1")

    def follow(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
        steps = int(count)
        return average.lerp(value, 1.0 - min(decay, (1 + steps) / (10 + steps)))

    return AveragedModel(module, avg_fn=follow).requires_grad_(False)
