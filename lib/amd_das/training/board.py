"""TensorBoard: losses, validation and pictures of a training, by MONAI's handler and one of ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from ignite.engine import Engine
from monai.handlers.tensorboard_handlers import TensorBoardStatsHandler
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

FOLDER: Final = "tensorboard"

Filter = Callable[[Engine, int], bool]
"""At which steps: an ignite event filter."""


class Board:
    """Writes into ``workdir/tensorboard``, from a step on; what an interrupted run wrote after it is hidden."""

    def __init__(self, workdir: Path, step: int) -> None:
        self.writer = SummaryWriter(str(workdir / FOLDER), purge_step=step + 1)

    def show_losses(self, engine: Engine, means: Callable[[], Mapping[str, float]], when: Filter) -> None:
        """Plot ``means()`` as "loss/…"."""
        tagged = lambda output: {f"loss/{name}": value for name, value in means().items()}  # noqa: E731
        handler = TensorBoardStatsHandler(self.writer, iteration_log=when, epoch_log=False, output_transform=tagged)
        handler.attach(engine)

    def show_validation(self, scores: Mapping[str, float], step: int) -> None:
        """Plot scores as "validation/…"."""
        for name, value in scores.items():
            self.writer.add_scalar(f"validation/{name}", value, step)

    def show_pictures(self, pictures: Mapping[str, Tensor], step: int) -> None:
        """One grid of (N, 1, H, W) pictures in [0, 1], all of one H and W: a row per case, a column per name."""
        if pictures:
            self.writer.add_image("pictures/" + "-".join(pictures), grid(pictures), step)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


def grid(pictures: Mapping[str, Tensor]) -> Tensor:
    """Pictures, each (N, 1, H, W) float in [0, 1] → (1, N·H, names·W) float32 in [0, 1] on the CPU.

    Cases that some name lacks are left out.
    """
    cases = min(len(picture) for picture in pictures.values())
    columns: list[Any] = [picture[:cases].detach().float().cpu().clamp(0, 1) for picture in pictures.values()]
    return torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
