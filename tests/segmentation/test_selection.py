"""Choosing a checkpoint: the criterion is said, the best is kept, and a continued training goes on where it was."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from torch import nn

from amd_das.errors import ModelError, NotFoundError, TrainingError
from amd_das.networks.fcn import FcnConfig
from amd_das.segmentation.augment import NONE
from amd_das.segmentation.batches import BatchConfig, adaptation_batches, split_patients
from amd_das.segmentation.config import AdaptationConfig, SelectionConfig
from amd_das.segmentation.learner import AdaptationLearner
from amd_das.segmentation.selection import (
    BEST,
    LABELLED,
    RECORD,
    SOURCE_ONLY,
    TARGET_ONLY,
    UNLABELLED,
    BestKeeper,
    Judge,
    best_weights,
)
from amd_das.slices import SliceStore
from amd_das.training.engine import fit
from amd_das.training.learner import seeded
from amd_das.training.run import FitConfig

TINY = AdaptationConfig(
    network=FcnConfig(stages=((2,), (2,), (4,), (4,), (4,)), decoder_tail=2), discriminator_channels=2, average=0.5
)
CONFIG = SelectionConfig(slices=2)


class Scripted(Judge):
    """Gives one score after the other."""

    def __init__(self, scores: Sequence[float], criterion: str = UNLABELLED) -> None:
        self.scores, self.criterion = iter(scores), criterion

    def __call__(self, network: nn.Module) -> dict[str, float]:
        return {"score": next(self.scores), "source_dice": 0.5}


def a_learner() -> AdaptationLearner:
    with seeded(0):
        return AdaptationLearner(TINY)


def mark(learner: AdaptationLearner, step: int) -> None:
    """As if the learner had reached a step; its weights say which."""
    learner.steps_done = step
    nn.init.constant_(learner.network.get_parameter("classifier.bias"), float(step))


def kept(folder: Path) -> float:
    return best_weights(folder)["classifier.bias"].item()


def lines(folder: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["score"]) for line in json.loads((folder / RECORD).read_text())["history"]]


def run(folder: Path, steps: Sequence[int], judge: Judge) -> list[dict[str, float]]:
    learner = a_learner()
    keeper = BestKeeper(learner, judge, folder)
    found = []
    for step in steps:
        mark(learner, step)
        found.append(keeper())
    return found


def test_the_best_is_kept_and_all_are_written_down(tmp_path: Path) -> None:
    found = run(tmp_path / "new", [10, 20, 30], Scripted([0.3, 0.6, 0.5]))
    assert kept(tmp_path / "new") == 20
    assert lines(tmp_path / "new") == [(10, 0.3), (20, 0.6), (30, 0.5)]
    assert found[2] == {"score": 0.5, "source_dice": 0.5, "best_score": 0.6}
    record = json.loads((tmp_path / "new" / RECORD).read_text())
    assert record["criterion"] == UNLABELLED
    assert record["best"] == {"step": 20, "score": 0.6}


def test_a_score_of_zero_is_kept_for_want_of_a_better_one(tmp_path: Path) -> None:
    run(tmp_path, [10, 20], Scripted([0.0, 0.0]))
    assert kept(tmp_path) == 10


def test_a_continued_training_goes_on_without_double_lines(tmp_path: Path) -> None:
    run(tmp_path, [10, 20, 30], Scripted([0.3, 0.6, 0.5]))
    run(tmp_path, [20, 30, 40], Scripted([0.6, 0.5, 0.55]))
    assert lines(tmp_path) == [(10, 0.3), (20, 0.6), (30, 0.5), (40, 0.55)]
    assert kept(tmp_path) == 20
    run(tmp_path, [50], Scripted([0.7]))
    assert kept(tmp_path) == 50


def test_lines_beyond_the_point_of_return_are_made_anew(tmp_path: Path) -> None:
    run(tmp_path, [10, 20, 30], Scripted([0.3, 0.4, 0.6]))
    run(tmp_path, [20], Scripted([0.4]))
    assert lines(tmp_path) == [(10, 0.3), (20, 0.4)]
    assert kept(tmp_path) == 30


def test_another_criterion_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, [10, 20], Scripted([0.3, 0.9]))
    run(tmp_path, [30], Scripted([0.2], LABELLED))
    assert kept(tmp_path) == 30
    assert lines(tmp_path) == [(30, 0.2)]
    assert "begun anew" in caplog.text


def test_a_kill_between_the_two_files_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, [10], Scripted([0.3]))
    monkeypatch.setattr(BestKeeper, "_write_record", lambda *_: None)
    run(tmp_path, [20], Scripted([0.6]))
    monkeypatch.undo()
    run(tmp_path, [20, 30], Scripted([0.6, 0.5]))
    assert lines(tmp_path) == [(10, 0.3), (20, 0.6), (30, 0.5)]
    assert kept(tmp_path) == 20


def test_weights_that_are_absent_or_damaged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no network was kept"):
        best_weights(tmp_path)
    (tmp_path / BEST).write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="damaged"):
        best_weights(tmp_path)
    torch.save({"weights": {}}, tmp_path / BEST)
    with pytest.raises(ModelError, match="not what"):
        best_weights(tmp_path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[SliceStore, SliceStore]:
    folder = tmp_path_factory.mktemp("stores")
    return disc_store(folder / "s", "pseudo_ct", slices=2), disc_store(folder / "t", "target", slices=2)


def test_the_criterion_says_what_was_used(stores: tuple[SliceStore, SliceStore], tmp_path: Path) -> None:
    source, target = ((store, np.arange(len(store))) for store in stores)
    dark = disc_store(tmp_path, "target", slices=2, lesions=0.0)
    network = a_learner().network
    criteria = {
        UNLABELLED: Judge(source, target, CONFIG),
        SOURCE_ONLY: Judge(source, (dark, np.arange(len(dark))), CONFIG),
        TARGET_ONLY: Judge(None, target, CONFIG),
        LABELLED: Judge(source, target, CONFIG, labelled_target=source),
    }
    for criterion, judge in criteria.items():
        assert judge.criterion == criterion
        found = judge(network)
        assert 0 <= found["score"] <= 1
        assert ("agreement" in found) == (criterion != SOURCE_ONLY)
        assert ("target_dice" in found) == (criterion == LABELLED)
        assert ("source_dice" in found) == (criterion != TARGET_ONLY)
    assert Judge(source, (target[0], np.arange(0)), CONFIG).criterion == SOURCE_ONLY


def test_without_held_out_source_slices_there_is_no_judge(stores: tuple[SliceStore, SliceStore]) -> None:
    with pytest.raises(TrainingError, match="held out"):
        Judge((stores[0], np.arange(0)), (stores[1], np.arange(2)), CONFIG)


def test_a_training_keeps_its_best_network(stores: tuple[SliceStore, SliceStore], tmp_path: Path) -> None:
    (learnt, held), (seen, unseen) = (split_patients(store, 0.5, 0) for store in stores)
    batches = BatchConfig(augment=NONE, patches=((0, 32),))
    batch_at = adaptation_batches(*stores, learnt, batches, 0, target_indices=seen)
    learner = a_learner()
    judge = Judge((stores[0], held), (stores[1], unseen), CONFIG)
    config = FitConfig(steps=4, batch=2, validate_steps=2, picture_steps=0, precision="fp32", device="cpu")
    record = fit(learner, batch_at, config, tmp_path, validate=BestKeeper(learner, judge, tmp_path))
    assert [step for step, _ in lines(tmp_path)] == [2, 4]
    assert record.validation["best_score"] >= record.validation["score"]
    learner.network.load_state_dict(best_weights(tmp_path))
