"""Weights, whatever network they are of."""

import hashlib

from torch import nn


def digest(network: nn.Module) -> str:
    """Hex digest of all weights, the same on every device."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
