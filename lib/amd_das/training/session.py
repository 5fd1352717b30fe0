"""A training's state between memory and disk: begun, continued, kept, and taken back after trouble."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

import torch

from amd_das.errors import TrainingError
from amd_das.files import write_whole
from amd_das.training import checkpoints, history, parallel
from amd_das.training.device import Place, free_memory, is_out_of_memory
from amd_das.training.learner import Learner, NotFiniteError
from amd_das.training.run import FitConfig, FitRecord, Run

logger = logging.getLogger(__name__)

RECORD: Final = "record.json"

MAX_SKIPPED: Final = 2
"""Batches that may be left out because something was not finite; one more ends the training (ours)."""


class Trouble(NamedTuple):
    """What an older state may cure; holds no reference to the tensors of the failed step."""

    step: int
    """Number of the failed step, from 0."""

    reason: str
    memory: bool
    """Whether memory ran out; otherwise something was not finite."""


class Session:
    """A learner, how far its training is, and the folder that holds both."""

    def __init__(self, learner: Learner, config: FitConfig, workdir: Path, place: Place) -> None:
        self.learner, self.config, self.workdir, self.place = learner, config, workdir, place
        self.path = workdir / checkpoints.NAME
        self.run = Run(batch=config.batch)

    def begin(self) -> bool:
        """Move the networks to their place; continue from the checkpoint (True), or write the first one (False).

        Raises:
            TrainingError: the networks do not fit into the memory, or the checkpoint does not fit the learner.
        """
        try:
            for module in self.learner.modules.values():
                self.place.put(module)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(f"the networks alone do not fit into the memory of {self.place}") from error
        there = parallel.rank() == 0 and self.path.exists()
        if parallel.mean([float(there)], self.place.device)[0] > 0.0:
            self.load()
            return True
        parallel.broadcast_modules(self.learner.modules.values())
        self.save()
        return False

    def save(self) -> None:
        """Write the checkpoint; what differs between processes is kept for each.

        Raises:
            NotFiniteError: a weight is not finite; in all processes alike.
            TrainingError: it could not be written.
        """
        if parallel.mean([float(checkpoints.finite(self.learner))], self.place.device)[0] < 1.0:
            raise NotFiniteError("weights are not finite")
        shares = parallel.gather({"extra": self.learner.extra_state(), "rng": self.place.rng_state()})
        if parallel.rank() == 0:
            state = {"run": asdict(self.run), "config": asdict(self.config), "processes": shares}
            checkpoints.save(self.path, state | checkpoints.capture(self.learner))
        parallel.wait()

    def load(self) -> None:
        """Take the checkpoint's state, and cut the history to it.

        Raises:
            TrainingError: it is damaged, or of another training.
        """
        state = checkpoints.load(self.path)
        seed = state["config"]["seed"]
        if seed != self.config.seed:
            raise checkpoints.foreign(self.path, f"it has seed {seed}, expected {self.config.seed}")
        checkpoints.restore(self.learner, state, self.path)
        shares = state["processes"]
        share = shares[parallel.rank() % len(shares)]
        self.learner.load_extra_state(share["extra"])
        self.place.set_rng_state(share["rng"])
        self.run = Run(**state["run"])
        if state["config"]["batch"] != self.config.batch:
            self.run.batch = self.config.batch
        if parallel.rank() == 0:
            history.cut(self.workdir, self.run.step)

    def go_back(self, trouble: Trouble) -> str:
        """To the last checkpoint, with the failed batch left out or all made smaller; returns what to tell the user.

        Raises:
            TrainingError: it happened too often, or the batch cannot be made smaller.
        """
        batch, seconds = self.run.batch, self.run.seconds
        where = f"step {trouble.step + 1} of {self.learner.name}: {trouble.reason}"
        if trouble.memory and (batch == 1 or parallel.world_size() > 1):
            raise TrainingError(
                f"{where}. {self.place} has too little memory for a batch of {batch}; use a smaller batch, smaller "
                "networks or a device with more memory"
            )
        if trouble.memory:
            for module in self.learner.modules.values():
                module.zero_grad(set_to_none=True)
            free_memory()
        self.load()
        self.run.seconds = seconds
        back = f"{where}; went back to the last good state, after step {self.run.step}, and goes on"
        if trouble.memory:
            self.run.batch = batch // 2
            message = f"{back} with a batch of {batch // 2} instead of {batch}: {self.place} has too little memory"
        else:
            self.run.skipped.append(trouble.step)
            message = f"{back} without the batch of step {trouble.step + 1}"
        logger.warning("%s", message)
        self.run.messages.append(message)
        if len(self.run.skipped) > MAX_SKIPPED:
            raise TrainingError(
                f"{where}. It happened {len(self.run.skipped)} times: lower the learning rates, clip the gradients, or "
                "train in fp32"
            )
        self.save()
        return message

    def finish(self) -> FitRecord:
        """Write and return the record."""
        record = FitRecord(
            stage=self.learner.name,
            steps=self.run.step,
            seconds=round(self.run.seconds, 1),
            device=str(self.place),
            processes=parallel.world_size(),
            batch=self.run.batch,
            skipped=tuple(self.run.skipped),
            messages=tuple(self.run.messages),
            losses=self.run.losses,
            validation=self.run.validation,
            torch=str(torch.__version__),
            config=asdict(self.config),
        )
        if parallel.rank() == 0:
            write_whole(self.workdir / RECORD, (json.dumps(asdict(record), indent=2) + "\n").encode())
        return record
