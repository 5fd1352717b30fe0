"""The engine: what it repeats, keeps, restores and tells."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_learner import TINY, TinyBatch, TinyLearner, tiny_batch, tiny_learner

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.training import checkpoints, history
from amd_das.training.engine import fit
from amd_das.training.progress import Progress

TESTS = Path(__file__).parents[1]


def stop_after(steps: int) -> Any:
    """Says so when it is asked for the ``steps``-th time."""
    answers = iter([False] * (steps - 1))
    return lambda: next(answers, True)


def weights(learner: TinyLearner) -> list[torch.Tensor]:
    return [tensor for module in learner.modules.values() for tensor in module.state_dict().values()]


def equal(first: TinyLearner, second: TinyLearner) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyLearner, Path]:
    learner, workdir = tiny_learner(), tmp_path_factory.mktemp("whole")
    fit(learner, tiny_batch, TINY, workdir)
    return learner, workdir


def test_a_training_learns_and_leaves_a_record(tmp_path: Path) -> None:
    learner = tiny_learner(rate=0.1, dropout=0.0)
    record = fit(learner, tiny_batch, replace(TINY, steps=60, log_steps=5), tmp_path)
    losses = [entry["losses"]["loss"] for entry in history.read(tmp_path)]
    assert len(losses) == 12
    assert losses[-1] < 0.3 * losses[0]
    assert record.losses["loss"] == losses[-1]
    written = json.loads((tmp_path / "record.json").read_text())
    assert (written["stage"], written["steps"], written["config"]["batch"]) == ("tiny", 60, 4)
    assert learner.optimisers["network"].param_groups[0]["lr"] == pytest.approx(0.1 / 30)


def test_two_runs_are_equal(uninterrupted: tuple[TinyLearner, Path], tmp_path: Path) -> None:
    again = tiny_learner()
    fit(again, tiny_batch, TINY, tmp_path)
    assert equal(again, uninterrupted[0])
    assert history.read(tmp_path) == history.read(uninterrupted[1])


def test_another_seed_gives_another_run(uninterrupted: tuple[TinyLearner, Path], tmp_path: Path) -> None:
    other = tiny_learner()
    fit(other, tiny_batch, replace(TINY, seed=1), tmp_path)
    assert not equal(other, uninterrupted[0])


def test_a_stopped_training_continues_as_if_it_had_not_been(
    uninterrupted: tuple[TinyLearner, Path], tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped, match="stopped at step 5 of 12; it can be continued"):
        fit(tiny_learner(), tiny_batch, TINY, tmp_path, should_stop=stop_after(5))
    assert checkpoints.load(tmp_path / checkpoints.NAME)["run"]["step"] == 5
    learner = tiny_learner()
    torch.rand(7)
    fit(learner, tiny_batch, TINY, tmp_path)
    assert len(learner.sizes) == 7
    assert equal(learner, uninterrupted[0])
    assert history.read(tmp_path) == history.read(uninterrupted[1])


def test_what_a_crashed_run_noted_after_its_checkpoint_is_not_noted_twice(
    uninterrupted: tuple[TinyLearner, Path], tmp_path: Path
) -> None:
    def crash(step: int, size: int) -> TinyBatch:
        if step == 7:
            raise KeyboardInterrupt
        return tiny_batch(step, size)

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_learner(), crash, TINY, tmp_path)
    assert [entry["step"] for entry in history.read(tmp_path)] == [3, 6]
    assert checkpoints.load(tmp_path / checkpoints.NAME)["run"]["step"] == 4
    learner = tiny_learner()
    fit(learner, tiny_batch, TINY, tmp_path)
    assert equal(learner, uninterrupted[0])
    assert history.read(tmp_path) == history.read(uninterrupted[1])


@pytest.mark.slow
def test_a_training_killed_by_the_system_continues_with_the_same_losses(tmp_path: Path) -> None:
    config, killed, whole = replace(TINY, steps=40, picture_steps=0), tmp_path / "killed", tmp_path / "whole"
    environment = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-m", "helpers.tiny_learner", str(killed), "40", "0.2"]
    process = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline and len(history.read(killed)) < 4:
            time.sleep(0.05)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    reached = checkpoints.load(killed / checkpoints.NAME)["run"]["step"]
    assert 8 <= reached < 40
    continued, uninterrupted = tiny_learner(), tiny_learner()
    fit(continued, tiny_batch, config, killed)
    assert len(continued.sizes) == 40 - reached
    fit(uninterrupted, tiny_batch, config, whole)
    assert history.read(killed) == history.read(whole)
    assert equal(continued, uninterrupted)


def test_a_finished_training_returns_at_once_with_its_weights(
    uninterrupted: tuple[TinyLearner, Path], tmp_path: Path
) -> None:
    learner = tiny_learner(rate=0.5)
    record = fit(learner, tiny_batch, TINY, uninterrupted[1])
    assert learner.sizes == []
    assert equal(learner, uninterrupted[0])
    assert record.steps == 12


def test_more_steps_continue_a_finished_training(tmp_path: Path) -> None:
    fit(tiny_learner(), tiny_batch, TINY, tmp_path)
    learner = tiny_learner()
    assert fit(learner, tiny_batch, replace(TINY, steps=14), tmp_path).steps == 14
    assert len(learner.sizes) == 2


def test_the_first_checkpoint_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    learner = tiny_learner()
    with torch.no_grad():
        learner.network[2].bias[0] = float("nan")
    with pytest.raises(TrainingError, match="weights are not finite"):
        fit(learner, tiny_batch, TINY, tmp_path)
    assert not (tmp_path / checkpoints.NAME).exists()


def broken_at(*steps: int) -> Any:
    def batch_at(step: int, size: int) -> TinyBatch:
        batch = tiny_batch(step, size)
        return TinyBatch(batch.image, batch.label / 0 if step in steps else batch.label)

    return batch_at


def test_a_loss_that_is_not_finite_restores_the_last_good_state_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[Progress] = []
    learner = tiny_learner()
    record = fit(learner, broken_at(6), TINY, tmp_path, progress=reports.append)
    assert record.skipped == (6,)
    (message,) = record.messages
    assert "step 7 of tiny" in message
    assert "went back to the last good state, after step 4" in message
    assert message in caplog.text
    assert [report.message for report in reports if report.message] == [message]
    assert len(learner.sizes) == 7 + 7  # 0-6, then 4-11 without 6
    assert all(tensor.isfinite().all() for tensor in weights(learner))


def test_a_training_that_skipped_a_batch_and_was_stopped_skips_it_still(tmp_path: Path) -> None:
    whole, first = tiny_learner(), tiny_learner()
    fit(whole, broken_at(6), TINY, tmp_path / "whole")
    with pytest.raises(TrainingStopped):
        fit(first, broken_at(6), TINY, tmp_path / "stopped", should_stop=stop_after(8))
    continued = tiny_learner()
    record = fit(continued, broken_at(6), TINY, tmp_path / "stopped")
    assert record.skipped == (6,)
    assert equal(continued, whole)
    assert history.read(tmp_path / "stopped") == history.read(tmp_path / "whole")


def test_a_training_that_diverges_again_and_again_ends(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 9 of tiny: .*3 times: lower the learning rates"):
        fit(tiny_learner(), broken_at(5, 7, 8), TINY, tmp_path)
    assert all(
        tensor.isfinite().all()
        for tensor in checkpoints.load(tmp_path / checkpoints.NAME)["modules"]["network"].values()
    )


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    class Careless(TinyLearner):
        def step(self, batch: TinyBatch, step: int, total: int) -> dict[str, float]:
            losses = super().step(batch, step, total)
            if step == 7:
                with torch.no_grad():
                    self.network[2].bias.fill_(float("nan"))
            return losses

    record = fit(Careless(), tiny_batch, TINY, tmp_path)
    assert record.skipped == (7,)
    assert "weights are not finite" in record.messages[0]


def test_out_of_memory_goes_on_with_half_the_batch_and_says_so(tmp_path: Path) -> None:
    reports: list[Progress] = []
    learner = tiny_learner(most=3)
    record = fit(learner, tiny_batch, replace(TINY, batch=8), tmp_path, progress=reports.append)
    assert record.batch == 2
    assert learner.sizes == [8, 4] + 12 * [2]
    assert "a batch of 4 instead of 8" in record.messages[0]
    assert "a batch of 2 instead of 4" in record.messages[1]
    assert [report.message for report in reports if report.message] == list(record.messages)


def test_a_smaller_batch_is_remembered(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        fit(tiny_learner(most=3), tiny_batch, TINY, tmp_path, should_stop=stop_after(2))
    learner = tiny_learner(most=3)
    fit(learner, tiny_batch, TINY, tmp_path)
    assert set(learner.sizes) == {2}


def test_out_of_memory_with_a_batch_of_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 1 of tiny: CUDA out of memory.*too little memory for a batch of 1"):
        fit(tiny_learner(most=0), tiny_batch, TINY, tmp_path)


def test_other_errors_are_not_swallowed(tmp_path: Path) -> None:
    def broken(step: int, size: int) -> TinyBatch:
        raise ZeroDivisionError("a fault of ours")

    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        fit(tiny_learner(), broken, TINY, tmp_path)


def test_a_full_disk_ends_the_training_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(workdir: Path, entry: dict[str, Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(history, "append", full)
    with pytest.raises(TrainingError, match=r"No space left.*make room and start again"):
        fit(tiny_learner(), tiny_batch, TINY, tmp_path)


def test_a_checkpoint_of_another_seed_is_refused(uninterrupted: tuple[TinyLearner, Path]) -> None:
    with pytest.raises(TrainingError, match=r"seed 0, expected 5.*choose another folder or delete it"):
        fit(tiny_learner(), tiny_batch, replace(TINY, seed=5), uninterrupted[1])


def test_reports_reach_the_end_and_a_stop_needs_no_reports(tmp_path: Path) -> None:
    reports: list[Progress] = []
    fit(tiny_learner(), tiny_batch, TINY, tmp_path, progress=reports.append)
    last = reports[-1]
    assert (last.stage, last.step, last.fraction, last.seconds_left) == ("tiny", 12, 1.0, 0.0)
    assert set(last.losses) == {"loss", "pooled"}
    assert last.seconds > 0


@pytest.fixture
def validated(tmp_path: Path) -> Iterator[tuple[TinyLearner, list[bool]]]:
    learner, graded = tiny_learner(), []

    def validate() -> dict[str, float]:
        graded.append(torch.is_grad_enabled())
        learner.network.eval()
        return {"dice": float(torch.rand(1)) + len(graded)}

    fit(learner, tiny_batch, replace(TINY, validate_steps=5), tmp_path, validate=validate)
    yield learner, graded


def test_validation_runs_at_its_steps_and_at_the_end_and_disturbs_nothing(
    validated: tuple[TinyLearner, list[bool]], uninterrupted: tuple[TinyLearner, Path], tmp_path: Path
) -> None:
    learner, graded = validated
    assert graded == [False, False, False]
    entries = history.read(tmp_path)
    scores = {entry["step"]: entry["validation"]["dice"] for entry in entries if "validation" in entry}
    assert list(scores) == [5, 10, 12]
    assert json.loads((tmp_path / "record.json").read_text())["validation"] == {"dice": scores[12]}
    assert equal(learner, uninterrupted[0])
    assert [entry for entry in entries if "losses" in entry] == history.read(uninterrupted[1])


def test_a_stop_is_no_error_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TrainingStopped):
        fit(tiny_learner(), tiny_batch, TINY, tmp_path, should_stop=lambda: True)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("settings", [{"steps": 0}, {"batch": 0}, {"picture_steps": -1}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        replace(TINY, **settings)


def test_bf16_trains_too(tmp_path: Path) -> None:
    learner = tiny_learner(rate=0.1, dropout=0.0)
    record = fit(learner, tiny_batch, replace(TINY, steps=60, precision="bf16"), tmp_path)
    assert record.device.endswith("bf16")
    assert record.losses["loss"] < 0.1
    assert learner.network[0].weight.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_and_continues(tmp_path: Path) -> None:
    config = replace(TINY, steps=60, device="cuda", precision="auto")
    with pytest.raises(TrainingStopped):
        fit(tiny_learner(rate=0.1, dropout=0.0), tiny_batch, config, tmp_path, should_stop=stop_after(20))
    assert set(checkpoints.load(tmp_path / checkpoints.NAME)["processes"][0]["rng"]) == {"cpu", "cuda"}
    learner = tiny_learner(rate=0.1, dropout=0.0)
    record = fit(learner, tiny_batch, config, tmp_path)
    assert torch.cuda.get_device_name() in record.device
    assert record.losses["loss"] < 0.1
    assert learner.network[0].weight.is_cuda
