"""Stage 2: who moves when, what flows where, and that it does what it is for."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_slices, disc_store
from torch import Tensor, nn

from amd_das.errors import ConfigError, TrainingStopped
from amd_das.losses import domain_loss
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.augment import NONE, RICH
from amd_das.segmentation.batches import AdaptationBatch, BatchConfig, adaptation_batches
from amd_das.segmentation.config import AdaptationConfig, Aligned, Statistics
from amd_das.segmentation.learner import AdaptationLearner, learning_rate_factor
from amd_das.slices import network_image, network_label
from amd_das.training.engine import fit
from amd_das.training.learner import seeded, update
from amd_das.training.run import FitConfig

TINY = FcnConfig(stages=((4,), (4,), (8,), (8,), (8,)), decoder_tail=4)
CONFIG = AdaptationConfig(network=TINY, discriminator_channels=4)
EVERYTHING = replace(
    CONFIG, aligned=("features", "prediction", "bottleneck"), average=0.9, dice_weight=0.5, adversarial_weight=0.1
)


def a_learner(config: AdaptationConfig = CONFIG) -> AdaptationLearner:
    with seeded(0):
        return AdaptationLearner(config)


def a_batch(count: int = 2, side: int = 64, shift: float = 0.0) -> AdaptationBatch:
    images, labels = disc_slices(2 * count, lesions=1.0)
    crop = slice(120 - side // 2, 120 + side // 2)
    image, label = network_image(images)[..., crop, crop], network_label(labels)[..., crop, crop]
    return AdaptationBatch(image[:count], label[:count], image[count:] + shift)


def state(network: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def moved(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """Names of the parameters that are no longer what they were."""
    return {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}


def watched(learner: AdaptationLearner, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Which modules each update moves from now on, in order."""
    seen: list[set[str]] = []

    def spied(optimiser: torch.optim.Optimizer, loss: Tensor, *, clip_norm: float | None) -> float:
        before = {name: state(part) for name, part in learner.modules.items()}
        norm = update(optimiser, loss, clip_norm=clip_norm)
        seen.append({name for name, part in learner.modules.items() if moved(part, before[name])})
        return norm

    monkeypatch.setattr("amd_das.segmentation.learner.update", spied)
    return seen


@pytest.mark.parametrize("statistics", ["source", "both"])
def test_each_update_moves_its_own_network_only(monkeypatch: pytest.MonkeyPatch, statistics: Statistics) -> None:
    learner = a_learner(replace(EVERYTHING, statistics=statistics))
    updates = watched(learner, monkeypatch)
    learner.step(a_batch(), 0, 10)
    assert updates == [{"fcn"}, {"discriminator_features"}, {"discriminator_prediction"}, {"discriminator_bottleneck"}]
    assert all(
        parameter.requires_grad for name in learner.optimisers for parameter in learner.modules[name].parameters()
    )


def test_discriminators_get_no_gradient_from_the_fcns_update(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = a_learner()
    gradients: list[bool] = []

    def spied(optimiser: torch.optim.Optimizer, loss: Tensor, *, clip_norm: float | None) -> float:
        norm = update(optimiser, loss, clip_norm=clip_norm)
        gradients.append(
            any(parameter.grad is not None for parameter in learner.discriminators["features"].parameters())
        )
        return norm

    monkeypatch.setattr("amd_das.segmentation.learner.update", spied)
    learner.step(a_batch(), 0, 10)
    assert gradients == [False, True]


@pytest.mark.parametrize("aligned", ["features", "prediction", "bottleneck"])
def test_the_adversarial_gradient_passes_the_encoder_to_the_target_image(aligned: Aligned) -> None:
    reached = {}
    for weight in (0.01, 1.0):
        learner = a_learner(replace(CONFIG, aligned=(aligned,), adversarial_weight=weight))
        batch = a_batch()
        batch.target.requires_grad_()
        learner.step(batch, 0, 10)
        assert batch.target.grad is not None
        reached[weight] = batch.target.grad.abs().sum().item()
    assert reached[0.01] > 0
    assert reached[1.0] == pytest.approx(100 * reached[0.01], rel=1e-3)


def test_a_fooled_discriminator_costs_the_fcn_less() -> None:
    costs = {}
    for answer in (-5.0, 5.0):
        learner = a_learner()
        nn.init.constant_(learner.discriminators["features"].layers[-1].bias, answer)  # type: ignore[arg-type]
        costs[answer] = learner.step(a_batch(), 0, 10)["adversarial"]
    assert costs[5.0] < 0.1 < costs[-5.0]


def test_without_an_adversarial_weight_it_learns_from_the_source_alone() -> None:
    learner = a_learner(replace(EVERYTHING, adversarial_weight=0.0))
    assert set(learner.modules) == {"fcn", "average"}
    assert set(learner.optimisers) == {"fcn"}
    batch = a_batch()
    batch.target.fill_(math.nan)
    losses = learner.step(batch, 0, 10)
    assert set(losses) == {"segmentation", "dice"}
    assert all(map(math.isfinite, losses.values()))
    assert all(value.isfinite().all() for value in learner.fcn.state_dict().values())


def test_losses_are_what_they_are_called() -> None:
    learner = a_learner(replace(EVERYTHING, average=0.0))
    untrained = copy.deepcopy(learner)
    batch = a_batch()
    losses = learner.step(batch, 0, 10)
    with torch.no_grad():
        source, target = untrained._see(batch)
        assert target is not None
        bce = nn.functional.binary_cross_entropy_with_logits(source.logits, batch.label)
        answers = {name: untrained.discriminators[name](hidden) for name, hidden in target.maps.items()}
    assert losses["segmentation"] == pytest.approx(bce.item(), rel=1e-4)
    assert losses["adversarial"] == pytest.approx(sum(domain_loss(answer, True).item() for answer in answers.values()))
    assert 0 <= losses["domain_accuracy"] <= 1
    assert 0 < losses["dice"] < 1


def test_the_dice_loss_may_weigh_slices_alike_and_leaves_those_without_lesion_out() -> None:
    config = replace(CONFIG, adversarial_weight=0.0, dice_weight=1.0)
    whole, half, alike = (a_learner(replace(config, dice_by_slice=part))._dice for part in (0.0, 0.5, 1.0))
    label = torch.zeros(3, 1, 32, 32)
    label[0, :, :20, :20] = 1  # found
    label[1, :, :3, :3] = 1  # missed
    logits = torch.full(label.shape, -20.0)
    logits[0][label[0] > 0] = 20.0
    logits[2, :, :9, :9] = 20.0  # found where nothing is
    assert whole(logits, label).item() == pytest.approx(1 - 2 * 400 / (400 + 400 + 9 + 81), abs=1e-4)
    assert alike(logits, label).item() == pytest.approx((0 + 1 - 1 / 10) / 2, abs=1e-4)
    assert half(logits, label) == pytest.approx((whole(logits, label).item() + alike(logits, label).item()) / 2)
    nothing = torch.zeros_like(label)
    assert alike(logits, nothing).item() == whole(logits, nothing).item()


def test_the_sources_statistics_are_left_alone_by_the_target() -> None:
    alone, adapted = a_learner(replace(CONFIG, adversarial_weight=0.0)), a_learner()
    for learner in (alone, adapted):
        learner.step(a_batch(shift=0.5), 0, 10)
    for name, value in alone.fcn.named_buffers():
        assert torch.equal(value, adapted.fcn.get_buffer(name)), name
    both = a_learner(replace(CONFIG, statistics="both"))
    both.step(a_batch(shift=0.5), 0, 10)
    means = [learner.fcn.get_buffer("encoder.0.1.running_mean") for learner in (adapted, both)]
    assert not torch.allclose(*means)
    assert all(part.training for part in adapted.fcn.modules())


def test_the_average_follows_weights_and_statistics() -> None:
    learner = a_learner(replace(EVERYTHING, optimiser="adamw", learning_rate=0.01))
    first = state(learner.network)
    batch = a_batch(side=32)
    for step in range(12):
        learner.step(batch, step, 20)
    weight, statistic = "encoder.0.0.weight", "encoder.0.1.running_mean"
    for name in (weight, statistic):
        average, now = learner.network.state_dict()[name], learner.fcn.state_dict()[name]
        assert not torch.equal(average, now)
        assert (average - now).norm() < (first[name] - now).norm()
    assert learner.network is not learner.fcn
    assert int(learner.network.state_dict()["encoder.0.1.num_batches_tracked"]) == 12


def test_pictures_can_be_shown() -> None:
    learner = a_learner()
    assert learner.pictures() == {}
    learner.step(a_batch(), 0, 10)
    pictures = learner.pictures()
    assert set(pictures) == {"image", "label", "pred", "target", "target_pred"}
    for picture in pictures.values():
        assert picture.shape == (2, 1, 64, 64)
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_it_starts_from_given_weights() -> None:
    given = Fcn(TINY).state_dict()
    learner = AdaptationLearner(replace(CONFIG, average=0.9), given)
    for network in (learner.fcn, learner.network):
        assert all(torch.equal(value, given[name]) for name, value in network.state_dict().items())


def test_learning_rates_follow_their_shape() -> None:
    config = replace(CONFIG, warm_up=0.1, decay="cosine")
    factors = [learning_rate_factor(config, step, 100) for step in range(100)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.01
    assert {learning_rate_factor(CONFIG, step, 100) for step in range(100)} == {1.0}
    assert learning_rate_factor(replace(CONFIG, decay="linear"), 75, 100) == pytest.approx(0.5)
    learner = a_learner(config)
    learner.step(a_batch(), 55, 100)
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in learner.optimisers.items()}
    assert rates["fcn"] == pytest.approx(0.1 * factors[55])
    assert rates["discriminator_features"] == pytest.approx(0.001 * factors[55])
    assert learner.steps_done == 56


@pytest.mark.slow
def test_it_learns_to_find_discs(tmp_path: Path) -> None:
    source, target = disc_store(tmp_path / "s", "pseudo_ct"), disc_store(tmp_path / "t", "target")
    batches = BatchConfig(augment=NONE, patches=((0, 64),), lesion_share=1.0)
    batch_at = adaptation_batches(source, target, np.arange(len(source)), batches, 0)
    learner = a_learner(
        replace(CONFIG, optimiser="adamw", learning_rate=0.02, dice_weight=0.5, average=0.9, clip_norm=1.0)
    )
    losses = [learner.step(batch_at(step, 4), step, 60)["segmentation"] for step in range(60)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    batch = batch_at(100, 8)
    with torch.no_grad():
        found = learner.network.eval()(batch.image).logits > 0
    assert 2 * (found * batch.label).sum() / (found.sum() + batch.label.sum()) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("statistics", ["source", "both"])
def test_adversarial_training_makes_the_domains_harder_to_tell_apart(statistics: Statistics) -> None:
    accuracy, batch, steps = {}, a_batch(4, shift=0.15), 100
    for weight in (1e-9, 1.0):
        config = replace(
            CONFIG,
            adversarial_weight=weight,
            optimiser="adamw",
            learning_rate=0.005,
            discriminator_learning_rate=0.002,
            statistics=statistics,
        )
        learner = a_learner(config)
        course = [learner.step(batch, step, steps)["domain_accuracy"] for step in range(steps)]
        accuracy[weight] = sum(course[-60:]) / 60
    assert accuracy[1e-9] > 0.9
    assert accuracy[1.0] < accuracy[1e-9] - 0.15


@pytest.mark.parametrize(
    "setting",
    [
        {"optimiser": "lion"},
        {"decay": "never"},
        {"statistics": "target"},
        {"aligned": ("features", "features")},
        {"aligned": ()},
        {"learning_rate": 0.0},
        {"adversarial_weight": -1.0},
        {"average": 1.0},
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        AdaptationConfig(**setting)  # type: ignore[arg-type]


def test_a_training_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    source, target = disc_store(tmp_path / "s", "pseudo_ct"), disc_store(tmp_path / "t", "target")
    batches = BatchConfig(augment=RICH, augment_target=True, lesion_share=0.5, patches=((0, 32), (3, 48)))
    batch_at = adaptation_batches(source, target, np.arange(len(source)), batches, 0)
    config = FitConfig(steps=5, batch=2, checkpoint_steps=2, picture_steps=0, precision="fp32", device="cpu")
    whole, first, second = (a_learner(EVERYTHING) for _ in range(3))
    fit(whole, batch_at, config, tmp_path / "whole")
    with pytest.raises(TrainingStopped):
        fit(first, batch_at, config, tmp_path / "parts", should_stop=lambda: first.steps_done == 3)
    fit(second, batch_at, config, tmp_path / "parts")
    assert second.steps_done == 5
    for name, part in whole.modules.items():
        for key, value in part.state_dict().items():
            assert torch.equal(value, second.modules[name].state_dict()[key]), (name, key)
