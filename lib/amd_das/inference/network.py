"""A trained network made fast: normalisation folded in, channels last, bfloat16 where the processor has it."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from amd_das.hardware import has_bf16


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32."""
    return torch.bfloat16 if has_bf16(device) else torch.float32


def optimised(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy in evaluation mode on the device; the original stays as it is.

    Each BatchNorm2d that follows a convolution within an ``nn.Sequential`` is folded into it.
    """
    network = copy.deepcopy(network).eval()
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for (name, conv), (norm_name, norm) in list(pairwise(block.named_children())):
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(conv, nn.ConvTranspose2d)
                setattr(block, name, fuse_conv_bn_eval(conv, norm, transpose=transposed))
                setattr(block, norm_name, nn.Identity())
    network = network.to(device=device, dtype=dtype).requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from torch's stubs
