"""One engine for both stages: it repeats a learner's step, keeps its state safe, and tells how far it is."""

import errno
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from ignite.engine import Engine, Events

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.training import history, parallel
from amd_das.training.ahead import Ahead
from amd_das.training.device import choose, is_out_of_memory
from amd_das.training.learner import Learner, NotFiniteError, seeded
from amd_das.training.progress import Progress, ProgressCallback, StopCheck
from amd_das.training.run import FitConfig, FitRecord, Run
from amd_das.training.session import Session, Trouble

if TYPE_CHECKING:
    from amd_das.training.board import Board

logger = logging.getLogger(__name__)

REPORT_SECONDS: Final = 1.0
"""Time between two reports (ours)."""

BatchAt = Callable[[int, int], Any]
"""(step, batch size) → named tuple of CPU tensors (N, …), a pure function of both."""

Validate = Callable[[], dict[str, float]]
"""Scores of the learner's networks as they are now; in process 0 alone."""

Enough = Callable[[], bool]
"""Whether a training is over before its last step, as far as validation tells; in process 0 alone."""


def fit(
    learner: Learner,
    batch_at: BatchAt,
    config: FitConfig,
    workdir: Path,
    *,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
    validate: Validate | None = None,
    enough: Enough | None = None,
) -> FitRecord:
    """Train a learner, from the checkpoint in ``workdir`` where there is one; afterwards the learner is trained.

    After each step, in this order: validation, TensorBoard, history, report, checkpoint, stop. So what ``validate``
    changes in the learner is in the checkpoint of the same step. On a CPU, two runs are equal, interrupted or not, if
    both have as many threads. Started by torchrun, each process trains on its rows of the batch; all must see
    ``workdir``.

    Args:
        learner: constructed under `seeded`; holds its networks on the training's device afterwards.
        batch_at: makes the batch of a step, in a thread of its own while the network learns from the one before.
        config: steps, batch, device and so on.
        workdir: receives ``checkpoint.pt``, ``history.jsonl``, ``tensorboard/`` and, in the end, ``record.json``.
        progress: receives reports.
        should_stop: asked after every step.
        validate: called without gradients; random numbers it draws do not disturb the training's.
        enough: asked at the start and after each validation; True ends the training as if it had done all its steps.

    Raises:
        TrainingStopped: ``should_stop`` said so; called again, it continues.
        TrainingError: the losses are not finite again and again; too little memory or disk; a checkpoint that is
            damaged or of another training.
        ConfigError: there is no such device, or the batch cannot be shared by the processes.
    """
    with parallel.processes():
        if config.batch % parallel.world_size():
            raise ConfigError(f"batch {config.batch}: expected a multiple of the {parallel.world_size()} processes")
        place = choose(config.device, config.precision)
        workdir.mkdir(parents=True, exist_ok=True)
        session = Session(learner, config, workdir, place)
        run = _Fit(session=session, batch_at=batch_at, progress=progress, should_stop=should_stop, validate=validate)
        run.enough = enough
        with seeded(config.seed + parallel.rank()):
            return run.fit()


@dataclass(kw_only=True)
class _Fit:
    """One call of `fit`."""

    session: Session
    batch_at: BatchAt
    progress: ProgressCallback | None
    should_stop: StopCheck | None
    validate: Validate | None
    step_seconds: float | None = None
    marked: float = 0.0
    """When the last step ended."""

    reported: float = 0.0
    stop: bool = False
    batches: BatchAt = field(init=False)
    """``batch_at`` with the next batch made ahead, while the engine runs."""

    enough: Enough | None = None
    over: bool = False
    """Whether it has been enough."""

    def __post_init__(self) -> None:
        self.learner, self.config, self.place = self.session.learner, self.session.config, self.session.place
        self.workdir = self.session.workdir
        self.first = parallel.rank() == 0

    @property
    def run(self) -> Run:
        return self.session.run

    def fit(self) -> FitRecord:
        if self.session.begin() and self.run.step < self.config.steps:
            logger.info("%s continues at step %d", self.learner.name, self.run.step)
            self._report(f"continuing at step {self.run.step}")
        self._ask_whether_enough()
        while self.run.step < self.config.steps and not self.over:
            trouble = self._attempt()
            if trouble is not None:
                self._report(self.session.go_back(trouble))
        return self.session.finish()

    def _attempt(self) -> Trouble | None:
        """Train from the present step to the end; returns what a restored state may cure."""
        for module in self.learner.modules.values():
            module.train()
        board = self._board()
        engine = self._engine(board)
        self.marked = time.monotonic()
        try:
            with Ahead(self.batch_at, self.config.steps) as self.batches:
                engine.run()
        except NotFiniteError as error:
            return Trouble(engine.state.iteration - 1, str(error), memory=False)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise TrainingError(f"cannot write to {self.workdir} ({error}); make room and start again") from error
            if not is_out_of_memory(error):
                raise
            return Trouble(engine.state.iteration - 1, _first_line(error), memory=True)
        finally:
            if board:
                board.close()
        return None

    def _engine(self, board: "Board | None") -> Engine:
        engine = Engine(self._step)
        engine.logger = logging.getLogger(f"{__name__}.ignite")
        engine.logger.setLevel(logging.CRITICAL)  # it calls every exception an error, a stop on request too
        engine.load_state_dict({"epoch_length": self.config.steps, "max_epochs": 1, "iteration": self.run.step})
        log = self._every(self.config.log_steps)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        if self.validate and self.first:
            when = self._every(self.config.validate_steps)
            engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=when), self._validated, board)
        if board:
            board.show_losses(engine, self.run.means, log)
            if self.config.picture_steps:
                when = self._every(self.config.picture_steps)
                engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=when), self._pictured, board)
        engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=log), self._logged)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._reported)
        when = self._every(self.config.checkpoint_steps)
        engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=when), self._saved)
        if self.enough:
            when = self._every(self.config.validate_steps)
            engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=when), self._ended)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._stopped)
        return engine

    def _every(self, steps: int) -> Callable[[Engine, int], bool]:
        """Every so many steps, and at the end; 0 for the end alone."""
        return lambda engine, step: step == self.config.steps or (steps > 0 and step % steps == 0)

    def _step(self, engine: Engine, _: None) -> dict[str, float]:
        """One step; raises NotFiniteError in all processes alike."""
        number, losses = engine.state.iteration - 1, {}
        if number not in self.run.skipped:
            batch = self.place.batch(self.batches(number, self.run.batch))
            with self.place.autocast():
                losses = self.learner.step(batch, number, self.config.steps)
        stop = self.should_stop is not None and self.should_stop()
        shared, *values = parallel.mean([float(stop), *losses.values()], self.place.device)
        losses = dict(zip(losses, values, strict=True))
        wrong = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise NotFiniteError(", ".join(wrong))
        self.stop = shared > 0
        return losses

    def _count(self, engine: Engine) -> None:
        losses: Any = engine.state.output
        now = time.monotonic()
        taken, self.marked = now - self.marked, now
        self.run.step = engine.state.iteration
        self.run.seconds += taken
        self.step_seconds = taken if self.step_seconds is None else 0.9 * self.step_seconds + 0.1 * taken
        self.run.add(losses)

    @torch.no_grad()
    def _validated(self, engine: Engine, board: "Board") -> None:
        with seeded(self.config.seed):
            self.run.validation = dict(self.validate()) if self.validate else {}
        for module in self.learner.modules.values():
            module.train()
        history.append(self.workdir, {"step": self.run.step, "validation": self.run.validation})
        board.show_validation(self.run.validation, self.run.step)

    def _pictured(self, engine: Engine, board: "Board") -> None:
        board.show_pictures(self.learner.pictures(), self.run.step)

    def _logged(self, engine: Engine) -> None:
        self.run.close_window()
        if self.first:
            history.append(self.workdir, {"step": self.run.step, "losses": self.run.losses})
            shown = "  ".join(f"{name} {value:.4g}" for name, value in self.run.losses.items())
            left = (self.step_seconds or 0.0) * (self.config.steps - self.run.step) / 60
            values = (self.learner.name, self.run.step, self.config.steps, shown, left)
            logger.info("%s: step %d of %d  %s  about %.0f min left", *values)

    def _reported(self, engine: Engine) -> None:
        if self.run.step == self.config.steps or time.monotonic() - self.reported >= REPORT_SECONDS:
            self._report()

    def _saved(self, engine: Engine) -> None:
        self.session.save()

    def _ended(self, engine: Engine) -> None:
        self._ask_whether_enough()
        if self.over and self.run.step < self.config.steps:
            logger.info("%s: enough at step %d of %d", self.learner.name, self.run.step, self.config.steps)
            self.session.save()
            engine.terminate()

    def _ask_whether_enough(self) -> None:
        if self.enough:
            self.over = parallel.mean([float(self.first and self.enough())], self.place.device)[0] > 0

    def _stopped(self, engine: Engine) -> None:
        if self.stop and not self.over and self.run.step < self.config.steps:
            if self.run.step % self.config.checkpoint_steps:
                self.session.save()
            raise TrainingStopped(
                f"{self.learner.name} was stopped at step {self.run.step} of {self.config.steps}; it can be continued"
            )

    def _board(self) -> "Board | None":
        if not self.first:
            return None
        from amd_das.training.board import Board  # MONAI's handlers take seconds to import

        return Board(self.workdir, self.run.step)

    def _report(self, message: str = "") -> None:
        if self.first and self.progress:
            self.reported = time.monotonic()
            self.progress(
                Progress(
                    stage=self.learner.name,
                    step=self.run.step,
                    total=self.config.steps,
                    losses=self.run.means() or self.run.losses,
                    seconds=self.run.seconds,
                    step_seconds=self.step_seconds,
                    message=message,
                )
            )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
