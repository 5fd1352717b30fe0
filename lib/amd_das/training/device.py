"""Where a training runs and in which precision; what counts as too little memory there."""

import gc
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from amd_das.errors import ConfigError
from amd_das.hardware import has_bf16
from amd_das.training import parallel

Precision = Literal["auto", "bf16", "fp32"]
"""What networks compute in: "auto" is bf16 where the device multiplies it in hardware, else fp32."""

_NO_MEMORY = ("can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")
"""In the messages of errors that carry no type of their own: the CPU's allocator, cuBLAS, cuDNN."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A device and a precision."""

    device: torch.device
    bf16: bool

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else _cpu_name()
        return f"{name}, {'bf16' if self.bf16 else 'fp32'}"

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision inside, where it was chosen."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def put(self, module: nn.Module) -> None:
        """Move a module here; its parameters stay the same objects.

        Channels last on a GPU and in bf16, except that on a CPU instance norm makes it a loss: it copies.
        """
        module.to(self.device)
        normalised = any(isinstance(part, _InstanceNorm) for part in module.modules())
        if self.device.type == "cuda" or (self.bf16 and not normalised):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from torch's stubs

    def batch(self, batch: Any) -> Any:
        """This process's rows of a named tuple of CPU tensors (N, …), here."""
        return type(batch)(*(parallel.rows(tensor).to(self.device, non_blocking=True) for tensor in batch))

    def rng_state(self) -> dict[str, Tensor]:
        """State of torch's random numbers on the CPU and here."""
        state = {"cpu": torch.get_rng_state()}
        return state | {"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else state

    def set_rng_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `rng_state` gave; a state of another kind of device is left out."""
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)


def choose(device: str, precision: Precision) -> Place:
    """The place of these names.

    Args:
        device: "auto" (this process's GPU where there is one), "cpu", "cuda", "cuda:N".
        precision: see `Precision`.

    Raises:
        ConfigError: there is no such device or precision.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r}: expected one of {', '.join(get_args(Precision))}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{parallel.local_rank()}"
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
        if found.type == "cuda":
            torch.cuda.set_device(found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r} cannot be used ({reason}); expected auto, cpu, cuda or cuda:N") from None
    return Place(device=found, bf16=precision == "bf16" or (precision == "auto" and has_bf16(found)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the machine has too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    torch.cuda.empty_cache()


def _cpu_name() -> str:
    return f"CPU ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} threads"
