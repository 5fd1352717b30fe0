"""The running average of weights."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from amd_das.errors import ConfigError
from amd_das.training.averages import average_of


def constant(value: float) -> nn.Module:
    layer = nn.BatchNorm2d(1)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_begins_as_a_copy_and_takes_no_gradient() -> None:
    module = constant(3.0)
    average = average_of(module)
    assert torch.equal(average.module.weight, module.weight)
    assert average.module.weight is not module.weight
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_the_average_follows_slowly_and_ever_more_so() -> None:
    average = average_of(constant(0.0), 0.5)
    weights = []
    for _ in range(12):
        average.update_parameters(constant(1.0 if weights else 0.0))
        weights.append(average.module.weight.item())
    assert weights[0] == 0.0
    left = [1.0 - weight for weight in weights]
    decays = [after / before for before, after in pairwise(left)]
    assert decays == pytest.approx([min(0.5, (1 + n) / (10 + n)) for n in range(1, 12)], rel=0.01)


def test_buffers_are_copied_whole() -> None:
    module, average = constant(1.0), average_of(constant(1.0))
    module(torch.full((2, 1, 4, 4), 8.0))
    for _ in range(2):
        average.update_parameters(module)
    assert torch.equal(average.module.running_mean, module.running_mean)
    assert average.module.num_batches_tracked.item() == 1


def test_an_average_that_never_moves_is_refused() -> None:
    with pytest.raises(ConfigError, match="below 1"):
        average_of(constant(1.0), 1.0)
