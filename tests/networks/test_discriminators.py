"""The discriminators: shapes, what a logit sees, and that none of them keeps statistics."""

import pytest
import torch
from torch import nn

from amd_das.networks.discriminators import DomainDiscriminator, PatchDiscriminator


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("size", "expected"), [(240, 28), (64, 6), (24, 1)])
def test_patch_logits(norm: str, size: int, expected: int) -> None:
    logits = PatchDiscriminator(4, norm=norm)(torch.zeros(2, 1, size, size))
    assert logits.shape == (2, 1, expected, expected)


def test_the_default_is_the_70_pixel_patchgan() -> None:
    """One logit depends on a window of 70 × 70 pixels (the normalisation, which sees all, is taken out)."""
    torch.manual_seed(0)
    network = PatchDiscriminator(2)
    network.layers = nn.Sequential(*[m for m in network.layers if not isinstance(m, nn.BatchNorm2d)])
    image = torch.randn(1, 1, 160, 160, requires_grad=True)
    logits = network(image)
    logits[0, 0, 9, 9].backward()
    assert image.grad is not None
    rows, columns = image.grad[0, 0].nonzero(as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


def test_patch_widths_are_isolas() -> None:
    convolutions = [m for m in PatchDiscriminator().modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 1]
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 1, 1]


@pytest.mark.parametrize("arguments", [{"norm": "layer"}, {"repeats": 0}, {"channels": 0}])
def test_impossible_discriminators_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="expected one of batch, instance, at least 1"):
        PatchDiscriminator(**arguments)


@pytest.mark.parametrize(("size", "expected"), [(256, 8), (60, 1), (40, 1), (8, 1)])
def test_domain_logits_even_of_small_maps(size: int, expected: int) -> None:
    assert DomainDiscriminator(3, 4)(torch.zeros(2, 3, size, size)).shape == (2, 1, expected, expected)


def test_the_domain_discriminator_has_five_convolutions_and_no_sigmoid() -> None:
    network = DomainDiscriminator(32)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.stride[0]) for c in convolutions] == [(64, 2), (128, 2), (256, 2), (512, 2), (1, 2)]
    assert isinstance(network.layers[-1], nn.Conv2d)
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_nothing_but_weights_is_kept() -> None:
    """A frozen discriminator does not move: no running statistics."""
    assert [*PatchDiscriminator(2).buffers(), *DomainDiscriminator(2, 2).buffers()] == []


@pytest.mark.parametrize("network", [PatchDiscriminator(2), DomainDiscriminator(1, 2)])
def test_every_parameter_gets_a_gradient(network: nn.Module) -> None:
    torch.manual_seed(0)
    network(torch.randn(2, 1, 64, 64)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
