"""The FCN: sizes, skips, determinism, and that every parameter learns."""

import pytest
import torch

from amd_das.networks.fcn import Fcn, FcnConfig, parameter_count

TINY = FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (240, 240), (33, 65), (1, 1)])
def test_logits_have_the_size_of_the_input(height: int, width: int) -> None:
    network = Fcn(TINY).eval()
    output = network(torch.zeros(2, 1, height, width))
    assert output.logits.shape == (2, 1, height, width)
    assert output.features.shape[:2] == (2, 4)


def test_the_paper_network_is_a_vgg16_and_fits_the_file_limit() -> None:
    network = Fcn()
    convolutions = [m for m in network.encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128] + [256] * 3 + [512] * 6
    assert parameter_count(network) * 2 < 40e6


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = Fcn(TINY)
    network(torch.randn(2, 1, 64, 64)).logits.square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_skips_carry_detail_to_the_output() -> None:
    """With the deepest stage switched off, the logits still depend on the image: the added skips carry it."""
    torch.manual_seed(0)
    network = Fcn(TINY).eval()
    torch.nn.init.zeros_(network.encoder[-1][0].weight)
    with torch.no_grad():
        a, b = network(torch.zeros(1, 1, 32, 32)).logits, network(torch.randn(1, 1, 32, 32)).logits
    assert not torch.allclose(a, b)


def test_a_wrong_channel_count_is_explained() -> None:
    with pytest.raises(ValueError, match=r"expected a \(N, 1, H, W\).*\(1, 3, 32, 32\)"):
        Fcn(TINY)(torch.zeros(1, 3, 32, 32))
