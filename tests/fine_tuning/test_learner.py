"""What stays and what moves when the FCN goes on learning."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.tiny_fine_tuning import TINY, tiny_fine_tuning

from amd_das.errors import ConfigError
from amd_das.fine_tuning.batches import labelled_batches
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.judging import FALSE_ML_COSTS, HeldOutJudge, LastJudge, wrong_slices
from amd_das.fine_tuning.learner import FineTuneLearner
from amd_das.networks.fcn import Fcn, FcnOutput
from amd_das.training.learner import seeded


def learner_of(config: FineTuneConfig) -> FineTuneLearner:
    with seeded(1):
        return FineTuneLearner(TINY, Fcn(TINY).state_dict(), config)


def moved(config: FineTuneConfig, tmp_path: Path) -> tuple[set[str], FineTuneLearner]:
    """Names of parameters and buffers that three steps change."""
    learner = learner_of(config)
    before = {name: value.clone() for name, value in learner.fcn.state_dict().items()}
    store = disc_store(tmp_path / "s", "source")
    batch_at = labelled_batches((store, np.arange(len(store))), None, config)
    for step in range(3):
        learner.fcn.train()
        losses = learner.step(batch_at(step, 4), step, 10)
    assert losses.keys() == {"segmentation", "dice"}
    after = learner.fcn.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}, learner


@pytest.mark.parametrize("frozen", [0, 3, 5])
def test_lower_stages_and_all_statistics_stay(tmp_path: Path, frozen: int) -> None:
    changed, learner = moved(tiny_fine_tuning(frozen_stages=frozen), tmp_path)
    assert {name.split(".")[1] for name in changed if name.startswith("encoder")} == {
        str(stage) for stage in range(frozen, 5)
    }
    assert any(name.startswith("decoder") for name in changed) and any(name.startswith("class") for name in changed)
    assert not any("running" in name or "num_batches" in name for name in changed)
    average = learner.network.state_dict()
    assert all(
        torch.equal(value, average[name]) for name, value in learner.fcn.state_dict().items() if name not in changed
    )


def test_statistics_above_the_frozen_stages_may_move(tmp_path: Path) -> None:
    changed, _ = moved(tiny_fine_tuning(frozen_statistics=False, frozen_stages=3), tmp_path)
    with_statistics = {name for name in changed if "running_mean" in name}
    assert with_statistics
    assert not any(name.startswith(("encoder.0", "encoder.1", "encoder.2")) for name in with_statistics)


@pytest.mark.parametrize(
    "changes",
    [
        {"frozen_stages": 6},
        {"learning_rate": 0.0},
        {"steps": 0},
        {"patch": 8},
        {"pseudo_ct_share": 1.0},
        {"patience": 0},
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        tiny_fine_tuning(**changes)


class Says(torch.nn.Module):
    """Takes for lesion what is brighter than a threshold, or nothing."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.above = torch.nn.Parameter(torch.tensor(above))

    def forward(self, image: torch.Tensor) -> FcnOutput:
        logits = (image - self.above) * 1000
        return FcnOutput(logits, logits)


def test_held_out_scans_are_judged_one_by_one(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=2, slices=4, noise=0.0)
    rows = np.arange(len(store))
    perfect = HeldOutJudge((store, rows), None, most=100)(Says(0.0))
    assert perfect == {"score": pytest.approx(1.0, abs=0.02), "dice": pytest.approx(1.0, abs=0.02)}
    assert HeldOutJudge((store, rows), None, most=100)(Says(2.0))["score"] == 0.0
    both = HeldOutJudge((store, rows), (store, rows), most=100)(Says(0.0))
    assert both["pseudo_ct_dice"] == pytest.approx(1.0, abs=0.02)
    assert both["score"] == perfect["score"], "pseudo-CT is told of and decides nothing"


def test_false_positives_on_a_scan_without_a_bleed_cost(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=1, slices=4, lesions=0.0, noise=0.0)
    judge = HeldOutJudge((store, np.arange(4)), None, most=100)
    assert judge(Says(0.5)) == {"score": 0.0, "false_ml": 0.0}
    everything = judge(Says(-0.9))
    brain_ml = store.brain_px.sum() * 5 / 1000
    assert everything["false_ml"] == pytest.approx(brain_ml, rel=0.05)
    assert everything["score"] == pytest.approx(-FALSE_ML_COSTS * everything["false_ml"])
    assert LastJudge()(Says(0.0)) == {"score": 0.0}


def test_slices_that_are_outlined_wrongly_are_found(tmp_path: Path) -> None:
    store = disc_store(tmp_path / "s", "source", patients=1, slices=4, noise=0.0)
    ct = (store, np.arange(4))
    assert wrong_slices(Says(0.0), ct, 20).tolist() == []
    assert wrong_slices(Says(2.0), ct, 20).tolist() == np.flatnonzero(store.lesion_px).tolist()
    assert wrong_slices(Says(-0.9), ct, 20).tolist() == [0, 1, 2, 3]
