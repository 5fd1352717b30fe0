"""The pieces of a train step."""

import pytest
import torch
from helpers.tiny_learner import tiny_learner
from torch import nn

from amd_das.errors import TrainingError
from amd_das.training.learner import NotFiniteError, frozen, linear_decay, seeded, set_learning_rate, update


def test_update_steps_against_the_gradient_of_this_loss_alone() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.tensor([100.0, 100.0])  # left over from another loss
    norm = update(optimiser, (weight * torch.tensor([3.0, 4.0])).sum(), clip_norm=None)
    assert norm == pytest.approx(5.0)
    assert torch.allclose(weight, torch.tensor([0.7, 1.6]))


def test_update_clips_all_gradients_together() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([{"params": [first]}, {"params": [second]}], lr=1.0)
    norm = update(optimiser, (30 * first + 40 * second).sum(), clip_norm=1.0)
    assert norm == pytest.approx(50.0)
    assert first.item() == pytest.approx(-0.6, abs=1e-4)
    assert second.item() == pytest.approx(-0.8, abs=1e-4)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_never_reaches_the_weights(factor: float) -> None:
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(NotFiniteError, match="norm"):
        update(torch.optim.SGD([weight], lr=0.1), (weight * factor).sum(), clip_norm=1.0)
    assert torch.equal(weight, torch.ones(2))


def test_under_autocast_a_second_forward_in_a_step_sees_the_updated_weights() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        update(optimiser, layer(torch.ones(1, 1)).float().sum(), clip_norm=None)
        assert layer(torch.ones(1, 1)).item() == 0.0
    assert layer.weight.item() == 0.0


def test_frozen_modules_take_no_gradient_and_thaw_as_they_were() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    network[0].bias.requires_grad_(False)
    before = [parameter.requires_grad for parameter in network.parameters()]
    image = torch.ones(1, 1, requires_grad=True)
    with frozen(network):
        network(image).sum().backward()
    assert image.grad is not None
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [parameter.requires_grad for parameter in network.parameters()] == before


def test_frozen_modules_thaw_after_an_error() -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(ZeroDivisionError), frozen(network):
        raise ZeroDivisionError
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_rate_is_flat_then_falls_towards_zero() -> None:
    factors = [linear_decay(step, 10) for step in range(10)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert [linear_decay(step, 4, flat=0.0) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert linear_decay(9, 10, flat=1.0) == 1.0


def test_the_rate_is_set_for_all_parameters() -> None:
    layers = nn.Linear(1, 1), nn.Linear(1, 1)
    optimiser = torch.optim.SGD([{"params": layer.parameters(), "lr": 1.0} for layer in layers])
    set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.5]


def test_seeded_draws_are_equal_and_leave_no_trace() -> None:
    torch.manual_seed(1)
    undisturbed = torch.rand(2)
    torch.manual_seed(1)
    with seeded(7):
        first = torch.rand(3)
    assert torch.equal(torch.rand(2), undisturbed)
    with seeded(7):
        assert torch.equal(torch.rand(3), first)


def test_a_learner_without_extra_state_refuses_one() -> None:
    learner = tiny_learner()
    with pytest.raises(TrainingError, match="holds pool"):
        super(type(learner), learner).load_extra_state({"pool": 1})
