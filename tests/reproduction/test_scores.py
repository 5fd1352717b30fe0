"""Scores tell silence from skill."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store

from amd_das.errors import TrainingError
from amd_das.reproduction.scores import Scores, deviation, mean, score, silence
from amd_das.slices import SliceStore


class Always(torch.nn.Module):
    """Says the same of every pixel."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(sign))

    def forward(self, image: torch.Tensor) -> object:
        return type("Output", (), {"logits": self.sign * torch.ones_like(image)})()


@pytest.fixture
def store(tmp_path: Path) -> SliceStore:
    return disc_store(tmp_path / "s", "source", patients=4)


def test_a_silent_network_scores_on_empty_slices_only(store: SliceStore) -> None:
    silent = score(Always(-9.0), store)
    shows = (store.lesion_px > 0).mean()
    assert (silent.lesions, silent.heads, silent.false_slices) == (0, 0, 0)
    assert silent.paper_way == pytest.approx(100 * (1 - shows), abs=1)
    assert silent == silence(store)
    loud = score(Always(9.0), store)
    assert 0 < (loud.lesions or 0) < 10
    assert loud.false_slices == 100
    assert loud.paper_way < silent.paper_way


def test_a_head_is_scored_as_a_whole(store: SliceStore) -> None:
    whole = score(Always(9.0), store)
    assert store.labels is not None
    expected = []
    for case in range(len(store.cases)):
        rows = store.case_index == case
        brain, lesion = np.count_nonzero(store.images[rows]), np.count_nonzero(store.labels[rows])
        if lesion:
            expected.append(2 * lesion / (brain + lesion))
    assert whole.heads is not None
    assert whole.heads <= 100 * np.mean(expected), "more than the brain is marked"
    assert whole.heads > 0


def test_what_cannot_be_scored_is_refused(store: SliceStore, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no slice to score"):
        score(Always(1.0), store, np.array([], int))
    with pytest.raises(TrainingError, match="has no labels"):
        score(Always(1.0), disc_store(tmp_path / "t", "target", patients=2))


def test_means_leave_out_what_could_not_be_scored() -> None:
    one = Scores(paper_way=60, lesions=None, heads=10, false_slices=1)
    two = Scores(paper_way=80, lesions=30, heads=20, false_slices=1)
    assert mean([one, two]) == Scores(paper_way=70, lesions=30, heads=15, false_slices=1)
    assert deviation([one, two]) == Scores(paper_way=14.14, lesions=None, heads=7.07, false_slices=0)
    assert deviation([one]) is None
