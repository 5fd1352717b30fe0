"""Where and how precisely a training computes."""

import pytest
import torch
from helpers.tiny_learner import tiny_batch
from torch import nn

from amd_das.errors import ConfigError
from amd_das.training import device
from amd_das.training.device import choose, is_out_of_memory


def test_bf16_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose("cpu", "auto").bf16
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not choose("cpu", "auto").bf16
    assert choose("cpu", "bf16").bf16


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_networks_compute_in_the_chosen_precision_and_keep_float32_weights(bf16: bool, dtype: torch.dtype) -> None:
    place, network = choose("cpu", "bf16" if bf16 else "fp32"), nn.Conv2d(1, 1, 1)
    place.put(network)
    with place.autocast():
        assert network(torch.ones(1, 1, 2, 2)).dtype == dtype
    assert network.weight.dtype == torch.float32


def test_channels_last_except_where_instance_norm_would_copy() -> None:
    place = choose("cpu", "bf16")
    batch_norm = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
    instance_norm = nn.Sequential(nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2))
    for network in (batch_norm, instance_norm):
        place.put(network)
    assert batch_norm[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not instance_norm[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_moving_keeps_the_parameters_an_optimiser_knows() -> None:
    network = nn.Conv2d(2, 2, 3)
    before = list(network.parameters())
    choose("cpu", "bf16").put(network)
    assert all(old is new for old, new in zip(before, network.parameters(), strict=True))


def test_a_batch_keeps_its_names() -> None:
    batch = choose("cpu", "fp32").batch(tiny_batch(0, 2))
    assert torch.equal(batch.label, tiny_batch(0, 2).label)


def test_random_numbers_are_restored() -> None:
    place = choose("cpu", "fp32")
    state = place.rng_state()
    drawn = torch.rand(3)
    place.set_rng_state(state)
    assert torch.equal(torch.rand(3), drawn)


@pytest.mark.parametrize(("name", "precision"), [("toaster", "auto"), ("cpu", "fp64"), ("cuda:99", "auto")])
def test_unknown_devices_and_precisions_are_refused(name: str, precision: device.Precision) -> None:
    with pytest.raises(ConfigError, match="expected"):
        choose(name, precision)


def test_too_little_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


def test_a_place_names_its_precision() -> None:
    assert str(choose("cpu", "fp32")).endswith("fp32")
