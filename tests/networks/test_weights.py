"""The digest of weights tells networks apart, and nothing else."""

import torch

from amd_das.networks.weights import digest


def test_it_is_of_the_weights_alone() -> None:
    torch.manual_seed(0)
    network, other = torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(1, 2, 3)
    first = digest(network)
    assert digest(network.to(memory_format=torch.channels_last)) == first
    assert digest(other) != first
    other.load_state_dict(network.state_dict())
    assert digest(other) == first
    with torch.no_grad():
        other.bias[0] += 1e-3
    assert digest(other) != first
