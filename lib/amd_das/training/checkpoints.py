"""The state of a training in one file: whole or not there, tensors and primitives only, loaded strictly."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from amd_das.errors import TrainingError
from amd_das.training.learner import Learner

NAME: Final = "checkpoint.pt"
FORMAT: Final = "amd-das training 1"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write to a temporary name, and rename.

    Raises:
        TrainingError: the disk is full or cannot be written; the file that was there is as it was.
    """
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer has no error type of its own
        temporary.unlink(missing_ok=True)
        needed, free = sum(tensor.nbytes for tensor in _tensors(state)), shutil.disk_usage(path.parent).free
        kept = "the last checkpoint is intact" if path.exists() else "there is no checkpoint yet"
        raise TrainingError(
            f"the checkpoint {path} could not be written ({error}): it needs {needed / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB are free; {kept}. Make room and start again: the training continues"
        ) from error


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; its tensors are on the CPU.

    Raises:
        TrainingError: the file is damaged or is no checkpoint.
    """
    try:
        with ZipFile(path) as parts:
            if (part := parts.testzip()) is not None:  # torch compares no checksums
                raise BadZipFile(f"the checksum of {part} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle each have their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"the checkpoint {path} is damaged ({reason}); delete it to start this training anew, or choose another "
            "folder"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(f"{path} is no checkpoint of the format {FORMAT!r}; delete it, or choose another folder")
    return state


def capture(learner: Learner) -> dict[str, Any]:
    """What a checkpoint holds of a learner, the same in all processes."""
    return {
        "learner": learner.name,
        "modules": {name: module.state_dict() for name, module in learner.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in learner.optimisers.items()},
    }


def restore(learner: Learner, state: dict[str, Any], path: Path) -> None:
    """Give a learner what `capture` took; ``path`` is for the message.

    Raises:
        TrainingError: the checkpoint is of another learner, or its networks have other shapes.
    """
    found, expected = _outline(state), _outline(capture(learner))
    if found != expected:
        raise foreign(path, f"it holds {found}, expected {expected}")
    try:
        for name, module in learner.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimiser in learner.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
    except (RuntimeError, ValueError) as error:
        raise foreign(path, " ".join(str(error).split())) from error


def finite(learner: Learner) -> bool:
    """Whether all weights and buffers are finite numbers."""
    tensors = _tensors({name: module.state_dict() for name, module in learner.modules.items()})
    return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor.is_floating_point())


def foreign(path: Path, reason: str) -> TrainingError:
    """The error of a checkpoint that does not fit, to be raised."""
    return TrainingError(
        f"the checkpoint {path} belongs to another training ({reason}); choose another folder or delete it"
    )


def _outline(state: dict[str, Any]) -> str:
    return f"{state['learner']} with {', '.join(state['modules'])}; optimisers {', '.join(state['optimisers'])}"


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for part in state.values() if isinstance(state, dict) else state:
            yield from _tensors(part)
