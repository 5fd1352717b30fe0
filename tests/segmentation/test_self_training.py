"""Self-training: sure slices become labelled ones, the others are left out, batches mix both domains."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from torch import Tensor, nn

from amd_das.errors import ConfigError, TrainingError, TrainingStopped
from amd_das.segmentation.augment import NONE
from amd_das.segmentation.batches import AdaptationBatch
from amd_das.segmentation.painting import BleedConfig
from amd_das.segmentation.self_training import (
    SelfTrainingConfig,
    mixed_batches,
    painted_batches,
    pseudo_labels,
)
from amd_das.segmentation.trust import SpotTrust
from amd_das.slices import SliceStore
from amd_das.training.run import FitConfig

BRIEF = FitConfig(steps=1, batch=2)
UNPAINTED = SelfTrainingConfig(fit=BRIEF, bleeds=BleedConfig(chance=0.0))


class Answer(NamedTuple):
    logits: Tensor


class Brightness(nn.Module):
    """Says lesion where the grey value is above 140 of 255; the less slope, the less sure it is."""

    def __init__(self, slope: float = 200.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, image: Tensor) -> Answer:
        return Answer(self.slope * (image - (2 * 140 / 255 - 1)))


@pytest.fixture
def target(tmp_path: Path) -> SliceStore:
    return disc_store(tmp_path / "target", "target", patients=3, slices=4, noise=1.0)


def everything(store: SliceStore) -> np.ndarray:
    return np.arange(len(store))


def test_sure_predictions_become_labels(target: SliceStore, tmp_path: Path) -> None:
    network = Brightness()
    made = pseudo_labels(network, target, everything(target), tmp_path / "made", UNPAINTED)
    assert len(made) == len(target)
    assert made.labels is not None
    assert np.array_equal(np.asarray(made.labels) > 0, np.asarray(made.images) > 140)
    assert made.lesion_px.sum() > 0
    assert {case.patient for case in made.cases} == {"p0", "p1", "p2"}
    assert network.training, "the network is left as it was"


def test_slices_it_hesitates_on_are_left_out(target: SliceStore, tmp_path: Path) -> None:
    made = pseudo_labels(Brightness(slope=3.0), target, everything(target), tmp_path / "made", UNPAINTED)
    assert len(made) == 0
    assert len(made.failures) == 3
    with pytest.raises(TrainingError, match="sure of none"):
        painted_batches(made, UNPAINTED, NONE, 0)


def test_whole_spots_are_believed_or_not_where_that_is_asked(target: SliceStore, tmp_path: Path) -> None:
    by_spot = SelfTrainingConfig(fit=BRIEF, trust=SpotTrust(abrupt_px=10**6))
    sure = pseudo_labels(Brightness(), target, everything(target), tmp_path / "sure", by_spot)
    assert sure.labels is not None
    assert np.array_equal(np.asarray(sure.labels) > 0, np.asarray(sure.images) > 140)
    doubtful = pseudo_labels(Brightness(slope=3.0), target, everything(target), tmp_path / "doubtful", by_spot)
    assert len(doubtful) == len(target), "learnt from as no lesion, not left out"
    assert doubtful.lesion_px.sum() == 0
    with pytest.raises(ConfigError):
        pseudo_labels(Brightness(), target, everything(target), tmp_path / "sure", UNPAINTED)


def test_only_the_slices_it_is_given_are_looked_at(target: SliceStore, tmp_path: Path) -> None:
    made = pseudo_labels(Brightness(), target, np.array([1, 2, 5]), tmp_path / "made", UNPAINTED)
    assert [case.numbers for case in made.cases] == [(1, 2), (1,)]
    assert np.array_equal(made.images[2], target.images[5])


def test_it_goes_on_where_it_was_stopped(target: SliceStore, tmp_path: Path) -> None:
    place, seen = tmp_path / "made", list[int]()
    with pytest.raises(TrainingStopped, match="1 of 3"):
        pseudo_labels(Brightness(), target, everything(target), place, UNPAINTED, should_stop=lambda: True)
    made = pseudo_labels(
        Brightness(), target, everything(target), place, UNPAINTED, progress=lambda done, _: seen.append(done)
    )
    assert seen == [1, 2, 3]
    assert len(made) == len(target)


def test_another_network_does_not_go_on_with_the_labels_of_the_first(target: SliceStore, tmp_path: Path) -> None:
    pseudo_labels(Brightness(), target, everything(target), tmp_path / "made", UNPAINTED)
    with pytest.raises(ConfigError):
        pseudo_labels(Brightness(slope=150.0), target, everything(target), tmp_path / "made", UNPAINTED)


class BatchMaker:
    """Batches of one value, that remember how many were asked for."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.asked: list[tuple[int, int]] = []

    def __call__(self, step: int, size: int) -> AdaptationBatch:
        self.asked.append((step, size))
        return AdaptationBatch(*(torch.full((size, 1, 4, 4), self.value) for _ in range(3)))


@pytest.mark.parametrize(("share", "expected"), [(0.5, (6, 6)), (2 / 3, (4, 8)), (0.01, (11, 1)), (0.99, (1, 11))])
def test_a_batch_is_of_both_domains(share: float, expected: Sequence[int]) -> None:
    source, target = BatchMaker(-1.0), BatchMaker(1.0)
    batch = mixed_batches(source, target, share)(7, 12)
    assert (source.asked, target.asked) == ([(7, expected[0])], [(7, expected[1])])
    assert batch.image.shape == batch.label.shape == (12, 1, 4, 4)
    assert (batch.image[: expected[0]] == -1).all()
    assert (batch.label[expected[0] :] == 1).all()


def test_painted_batches_hold_what_was_predicted_and_painted(target: SliceStore, tmp_path: Path) -> None:
    made = pseudo_labels(Brightness(), target, everything(target), tmp_path / "made", UNPAINTED)
    plain = painted_batches(made, UNPAINTED, NONE, 0)(0, 12)
    painted = painted_batches(made, SelfTrainingConfig(fit=BRIEF, bleeds=BleedConfig(chance=1.0)), NONE, 0)
    assert plain.label.sum() == made.lesion_px.sum(), "each slice once"
    batch = painted(0, 12)
    assert batch.image.shape == batch.label.shape == (12, 1, 240, 240)
    assert (batch.label >= plain.label).all()
    assert batch.label.sum() > plain.label.sum()
    assert torch.equal(painted(0, 12).image, batch.image), "the same step gives the same batch"
    assert not torch.equal(painted(1, 12).image, batch.image)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": 1.0}, "share"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"average": 1.0}, "average"),
        ({"decay": "steps"}, "decay 'steps': expected one of constant, linear, cosine"),
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SelfTrainingConfig(fit=BRIEF, **wrong)  # type: ignore[arg-type]
