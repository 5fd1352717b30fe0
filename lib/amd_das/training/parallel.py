"""Several processes that train one model, started by torchrun; every function also works alone."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import torch
from torch import Tensor, distributed, nn

TIMEOUT: Final = timedelta(minutes=30)
"""A process that hears nothing of the others for so long gives up (ours)."""


@contextmanager
def processes() -> Iterator[None]:
    """Join the other processes when torchrun started this one; alone, or joined already, nothing happens.

    Reads torchrun's ``WORLD_SIZE``, ``RANK`` and ``LOCAL_RANK``; NCCL where there are GPUs, gloo on CPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def world_size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 is the one that writes and reports."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def local_rank() -> int:
    """This process's number on its machine: the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes; all must have the same ones."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@torch.no_grad()
def broadcast_modules(modules: Iterable[nn.Module]) -> None:
    """Give every process the parameters and buffers of process 0."""
    if world_size() == 1:
        return
    for module in modules:
        for tensor in module.state_dict().values():
            shared = tensor.contiguous()
            distributed.broadcast(shared, 0)
            tensor.copy_(shared)


def mean(values: Sequence[float], device: torch.device) -> list[float]:
    """Mean of each number over the processes, the same in all of them."""
    if world_size() == 1:
        return list(values)
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(summed)
    return (summed / world_size()).tolist()


def wait() -> None:
    """Until all processes are here."""
    if world_size() > 1:
        distributed.barrier()


def gather(value: Any) -> list[Any]:
    """What every process holds, in order of rank, in process 0; an empty list in the others."""
    if world_size() == 1:
        return [value]
    found: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(value, found)
    return found or []


def rows(tensor: Tensor) -> Tensor:
    """This process's share of a batch: rows rank, rank + world, … of (N, …)."""
    return tensor if world_size() == 1 else tensor[rank() :: world_size()]
