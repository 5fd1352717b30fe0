import pytest
import torch
from torch import nn

from amd_das.inference.network import fastest_dtype, optimised
from amd_das.networks.fcn import Fcn, FcnConfig

CPU = torch.device("cpu")


@pytest.fixture
def network() -> Fcn:
    """A small FCN whose normalisation layers do something."""
    torch.manual_seed(0)
    small = Fcn(FcnConfig(stages=((4, 4), (8,), (8,), (8,), (8,)), decoder_tail=4))
    for module in small.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return small.eval()


@torch.inference_mode()
def test_folding_the_normalisation_changes_no_logit(network: Fcn) -> None:
    image = torch.rand(2, 1, 64, 96) * 2 - 1
    fast = optimised(network, CPU, torch.float32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert torch.allclose(fast(image).logits, network(image).logits, atol=1e-4)


@torch.inference_mode()
def test_bfloat16_is_close(network: Fcn) -> None:
    image = torch.rand(1, 1, 64, 64) * 2 - 1
    fast = optimised(network, CPU, torch.bfloat16)
    logits = network(image).logits
    assert (fast(image.bfloat16()).logits.float() - logits).abs().max() < 0.05 * logits.abs().max()


def test_the_original_keeps_its_layers_and_type(network: Fcn) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimised(network, CPU, torch.bfloat16)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)


def test_a_processor_without_bfloat16_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert fastest_dtype(CPU) is torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert fastest_dtype(CPU) is torch.bfloat16
