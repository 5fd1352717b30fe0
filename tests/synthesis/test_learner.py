"""Stage 1's learner: which update moves what, what reaches the generators, and that it learns."""

import copy
from pathlib import Path

import pytest
import torch
from helpers.tiny_synthesis import disc_batch, tiny_config
from torch import Tensor, nn

from amd_das.errors import TrainingStopped
from amd_das.losses import segmentation_loss
from amd_das.networks.generator import GeneratorConfig
from amd_das.synthesis.learner import SynthesisLearner
from amd_das.training.engine import fit
from amd_das.training.run import FitConfig

SEGMENTERS = ("segmenter_original", "segmenter_reconstructed")
DISCRIMINATORS = ("discriminator_ct", "discriminator_mri")


@pytest.fixture
def learner() -> SynthesisLearner:
    return SynthesisLearner(tiny_config(), seed=1)


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(learner: SynthesisLearner, before: dict[str, list[Tensor]]) -> set[str]:
    """Names of the modules with a parameter that is no longer what it was."""
    pairs = {name: zip(before[name], weights(module), strict=True) for name, module in learner.modules.items()}
    return {name for name, both in pairs.items() if not all(torch.equal(a, b) for a, b in both)}


def all_weights(learner: SynthesisLearner) -> dict[str, list[Tensor]]:
    return {name: weights(module) for name, module in learner.modules.items()}


def gradients(module: nn.Module) -> list[Tensor | None]:
    return [parameter.grad for parameter in module.parameters()]


def test_each_update_moves_its_own_networks_alone(learner: SynthesisLearner) -> None:
    batch = disc_batch(0)
    made = learner._make(batch)
    updates = {
        SEGMENTERS: lambda: learner._update_segmenters(made, batch.label),
        ("generators",): lambda: learner._update_generators(made, batch, None),
        ("domain_discriminator",): lambda: learner._update_domain_discriminator(made),
        DISCRIMINATORS: lambda: learner._update_discriminators(made, batch),
    }
    for names, run in updates.items():
        before = all_weights(learner)
        run()
        assert moved(learner, before) == set(names)


def test_a_step_moves_every_network_and_names_its_losses(learner: SynthesisLearner) -> None:
    before = all_weights(learner)
    losses = learner.step(disc_batch(0), 0, 10)
    assert moved(learner, before) == set(learner.modules)
    expected = {"lesion", "cycle", "gan_ct", "gan_mri", "features", "generators", "domain", "discriminators"}
    assert set(losses) == expected
    assert all(parameter.requires_grad for name in DISCRIMINATORS for parameter in learner.modules[name].parameters())


def test_frozen_networks_get_no_gradient_from_the_generators_update(learner: SynthesisLearner) -> None:
    batch = disc_batch(0)
    learner._update_generators(learner._make(batch), batch, None)
    for name in (*DISCRIMINATORS, "domain_discriminator", *SEGMENTERS):
        assert all(gradient is None for gradient in gradients(learner.modules[name]))


def test_the_domain_discriminators_gradients_do_not_pile_up(learner: SynthesisLearner) -> None:
    """Twice the same update with a rate of zero leaves the gradient of one."""
    made = learner._make(disc_batch(0))
    learner.optimisers["domain_discriminator"].param_groups[0]["lr"] = 0.0
    found = []
    for _ in range(2):
        learner._update_domain_discriminator(made)
        found.append([gradient.clone() for gradient in gradients(learner.modules["domain_discriminator"])])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert any(gradient.any() for gradient in found[0])


def test_one_pass_through_the_segmenters_does_the_work_of_two(learner: SynthesisLearner) -> None:
    """The loss handed on is, in value and gradient, that of the segmenters as they were before they stepped."""
    batch = disc_batch(0)
    frozen = [copy.deepcopy(learner.modules[name]).requires_grad_(False) for name in SEGMENTERS]
    made = learner._make(batch)
    direct = segmentation_loss(frozen[0](made.pseudo_ct).logits, batch.label)
    direct = direct + segmentation_loss(frozen[1](made.reconstructed_mri).logits, batch.label)
    direct.backward(retain_graph=True)
    expected = [gradient.clone() for gradient in gradients(learner.generators)]
    learner.generators.zero_grad()
    lesion = learner._update_segmenters(made, batch.label)
    lesion.backward()
    assert lesion.item() == pytest.approx(direct.item(), abs=1e-5)
    for found, wanted in zip(gradients(learner.generators), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-7)
    assert any(gradient.any() for gradient in expected)


def test_the_lesion_loss_reaches_the_generators_through_both_segmenters(learner: SynthesisLearner) -> None:
    batch = disc_batch(0)
    learner._update_segmenters(learner._make(batch), batch.label).backward()
    for part in (learner.generators.encoder_mri, learner.generators.decoder_ct, learner.generators.decoder_mri):
        assert any(gradient.any() for gradient in gradients(part))


def test_the_feature_loss_reaches_encoder_and_fusion() -> None:
    learner = SynthesisLearner(tiny_config(cycle_weight=0.0, lesion_weight=0.0, feature_weight=1.0), seed=0)
    for name in DISCRIMINATORS:
        nn.init.zeros_(learner.modules[name].layers[-1].weight)  # no adversarial gradient
    batch = disc_batch(0)
    losses = learner._update_generators(learner._make(batch), batch, None)
    assert losses["features"] > 0
    for part in (learner.generators.encoder_ct, learner.generators.fusions):
        assert any(gradient.any() for gradient in gradients(part))
    assert not any(gradient.any() for gradient in gradients(learner.generators.encoder_mri))


def test_a_fooled_discriminator_costs_the_generators_less(learner: SynthesisLearner) -> None:
    batch, found = disc_batch(0), []
    for name in DISCRIMINATORS:
        nn.init.zeros_(learner.modules[name].layers[-1].weight)
    for answer in (0.0, 1.0):
        for name in DISCRIMINATORS:
            nn.init.constant_(learner.modules[name].layers[-1].bias, answer)
        learner.optimisers["generators"].param_groups[0]["lr"] = 0.0
        found.append(learner._update_generators(learner._make(batch), batch, None)["generators"])
    assert found[1] < found[0]


@pytest.mark.parametrize(
    ("changes", "absent", "losses"),
    [
        ({"lesion_weight": 0.0}, set(SEGMENTERS), {"lesion"}),
        ({"feature_weight": 0.0}, {"domain_discriminator"}, {"features", "domain"}),
    ],
)
def test_a_loss_without_weight_builds_no_network(changes: dict, absent: set[str], losses: set[str]) -> None:
    whole, part = SynthesisLearner(tiny_config()), SynthesisLearner(tiny_config(**changes))
    assert set(whole.modules) - set(part.modules) == absent
    found = part.step(disc_batch(0), 0, 2)
    assert set(whole.step(disc_batch(0), 0, 2)) - set(found) == losses


def test_plain_cyclegan_with_identity_learns_too() -> None:
    generator = GeneratorConfig(channels=2, layers=1, growth=2, shared_fusion=False)
    config = tiny_config(
        generator=generator, lesion_weight=0.0, feature_weight=0.0, identity_weight=5.0, gan_form="log"
    )
    learner = SynthesisLearner(config)
    before = all_weights(learner)
    losses = learner.step(disc_batch(0), 0, 2)
    assert set(losses) == {"cycle", "gan_ct", "gan_mri", "identity", "generators", "discriminators"}
    assert moved(learner, before) == {"generators", "average", *DISCRIMINATORS}


def test_learning_rates_fall_in_the_second_half(learner: SynthesisLearner) -> None:
    def rates() -> dict[str, float]:
        return {name: optimiser.param_groups[0]["lr"] for name, optimiser in learner.optimisers.items()}

    learner.step(disc_batch(0), 4, 10)
    full = {"generators": 2e-4, "discriminators": 2e-4, "domain_discriminator": 1e-3, "segmenters": 0.1}
    assert rates() == pytest.approx(full)
    learner.step(disc_batch(0), 9, 10)
    assert rates() == pytest.approx({name: 0.2 * rate for name, rate in full.items()})


def test_discriminators_are_reminded_of_past_images() -> None:
    learner = SynthesisLearner(tiny_config(pool=3))
    for step in range(3):
        learner.step(disc_batch(step), step, 4)
    assert [len(pool.kept) for pool in learner.pools.values()] == [3, 3]
    other = SynthesisLearner(tiny_config(pool=3), seed=5)
    other.load_extra_state(learner.extra_state())
    for name, pool in other.pools.items():
        assert all(torch.equal(a, b) for a, b in zip(pool.kept, learner.pools[name].kept, strict=True))


def test_two_runs_are_equal_and_seeds_matter() -> None:
    def run(seed: int) -> list[dict[str, float]]:
        learner = SynthesisLearner(tiny_config(), seed=seed)
        return [learner.step(disc_batch(step), step, 3) for step in range(3)]

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_the_average_follows_and_is_another_network(learner: SynthesisLearner) -> None:
    for step in range(3):
        learner.step(disc_batch(step), step, 3)
    assert learner.averaged.config == learner.generators.config
    pairs = list(zip(weights(learner.averaged), weights(learner.generators), strict=True))
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert not any(parameter.requires_grad for parameter in learner.averaged.parameters())


def test_pictures_are_grey_values_of_one_size(learner: SynthesisLearner) -> None:
    assert learner.pictures() == {}
    learner.step(disc_batch(0), 0, 2)
    pictures = learner.pictures()
    assert list(pictures) == ["mri", "label", "pseudo_ct", "segmentation", "reconstruction", "ct", "pseudo_mri"]
    assert {tuple(picture.shape) for picture in pictures.values()} == {(2, 1, 32, 32)}
    assert all(picture.min() >= 0 and picture.max() <= 1 and not picture.requires_grad for picture in pictures.values())


def test_a_step_under_autocast_gives_finite_losses(learner: SynthesisLearner) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        losses = learner.step(disc_batch(0), 0, 2)
    plain = SynthesisLearner(tiny_config(), seed=1).step(disc_batch(0), 0, 2)
    assert losses == pytest.approx(plain, rel=0.1, abs=0.05)


@pytest.mark.slow
def test_two_simple_domains_are_learned() -> None:
    config = tiny_config(generator=GeneratorConfig(channels=4), generator_rate=2e-3)
    learner = SynthesisLearner(config)
    losses = [learner.step(disc_batch(step), step, 60) for step in range(60)]
    first, last = ([entry["cycle"] for entry in part] for part in (losses[:5], losses[-5:]))
    assert sum(last) < 0.5 * sum(first)


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Through the engine: networks, optimisers, averages and pools all come back from the checkpoint."""

    def train(workdir: Path, *, stop_after: int | None) -> SynthesisLearner:
        answers = iter([False] * ((stop_after or 6) - 1) + [stop_after is not None])
        learner = SynthesisLearner(tiny_config(pool=3))
        config = FitConfig(steps=6, batch=2, picture_steps=0, precision="fp32", device="cpu")
        fit(learner, disc_batch, config, workdir, should_stop=lambda: next(answers, False))
        return learner

    with pytest.raises(TrainingStopped):
        train(tmp_path / "a", stop_after=4)
    resumed, whole = train(tmp_path / "a", stop_after=None), train(tmp_path / "b", stop_after=None)
    assert moved(resumed, all_weights(whole)) == set()
    for name, pool in whole.pools.items():
        assert all(torch.equal(a, b) for a, b in zip(pool.kept, resumed.pools[name].kept, strict=True))
