"""A learner of a few weights with everything a real one has: dropout, an average, an image pool.

``python -m helpers.tiny_learner WORKDIR STEPS [SECONDS]`` trains one, each step taking at least so many seconds.
"""

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from amd_das.training.averages import average_of
from amd_das.training.engine import fit
from amd_das.training.image_pool import ImagePool
from amd_das.training.learner import Learner, linear_decay, seeded, set_learning_rate, update
from amd_das.training.run import FitConfig


class TinyBatch(NamedTuple):
    image: Tensor
    """(N, 1, 8, 8) float32 in [0, 1]."""

    label: Tensor
    """(N, 1, 8, 8) float32: 1 - image."""


def tiny_batch(step: int, size: int) -> TinyBatch:
    image = torch.rand(size, 1, 8, 8, generator=torch.Generator().manual_seed(step))
    return TinyBatch(image, 1 - image)


class TinyLearner(Learner):
    """Learns to invert images."""

    name = "tiny"

    def __init__(self, *, dropout: float = 0.2, rate: float = 0.01, most: int = 100, seconds: float = 0.0) -> None:
        """``most``: largest batch before memory runs out; ``seconds``: least time of a step."""
        self.network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(dropout), nn.Conv2d(4, 1, 1))
        self.average = average_of(self.network, 0.9)
        self.pool = ImagePool(8)
        self.modules = {"network": self.network, "average": self.average}
        self.optimisers = {"network": torch.optim.Adam(self.network.parameters(), lr=rate)}
        self.rate, self.most, self.seconds = rate, most, seconds
        self.sizes: list[int] = []
        self.shown: dict[str, Tensor] = {}

    def step(self, batch: TinyBatch, step: int, total: int) -> dict[str, float]:
        time.sleep(self.seconds)
        set_learning_rate(self.optimisers["network"], self.rate * linear_decay(step, total))
        self.sizes.append(len(batch.image))
        found = self.network(batch.image).float()
        if len(batch.image) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        loss = (found - batch.label).abs().mean()
        update(self.optimisers["network"], loss, clip_norm=1.0)
        self.average.update_parameters(self.network)
        self.shown = {"image": batch.image, "found": found}
        return {"loss": loss.item(), "pooled": self.pool.query(found).mean().item()}

    def pictures(self) -> dict[str, Tensor]:
        return self.shown

    def extra_state(self) -> dict[str, Any]:
        return {"pool": self.pool.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.pool.load_state_dict(state["pool"])


def tiny_learner(**settings: Any) -> TinyLearner:
    with seeded(0):
        return TinyLearner(**settings)


TINY = FitConfig(steps=12, batch=4, checkpoint_steps=4, log_steps=3, picture_steps=6, precision="fp32", device="cpu")


if __name__ == "__main__":
    workdir, steps, *seconds = sys.argv[1:]
    config = FitConfig(steps=int(steps), batch=4, checkpoint_steps=4, log_steps=3, precision="fp32", device="cpu")
    fit(tiny_learner(seconds=float(seconds[0]) if seconds else 0.0), tiny_batch, config, Path(workdir))
