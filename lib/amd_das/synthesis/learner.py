"""Stage 1: two generators, their discriminators, and two segmenters that keep the lesion where it is.

One step, as the paper alternates it: the generators by equation 1, then ``D_fusion`` (equation 7), then both image
discriminators (equation 3), and the segmenters on what the generators made (equation 5).
"""

from dataclasses import asdict
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from amd_das.losses import adversarial_loss, cycle_loss, domain_loss, identity_loss, segmentation_loss
from amd_das.networks.discriminators import DomainDiscriminator, PatchDiscriminator
from amd_das.networks.fcn import Fcn, probabilities
from amd_das.networks.generator import SharedGenerators
from amd_das.preprocessing.window import from_network
from amd_das.synthesis.batches import SynthesisBatch
from amd_das.synthesis.config import SynthesisConfig
from amd_das.training.averages import average_of
from amd_das.training.image_pool import ImagePool
from amd_das.training.learner import Learner, frozen, linear_decay, seeded, set_learning_rate, update

AVERAGE: Final = "average"
"""The module that holds the generators' running average."""

GENERATOR: Final = "generator"
"""Under this name, a checkpoint's extra state holds the shape of the generators."""


class _Made(NamedTuple):
    """What the generators made of one batch, with their gradients' history."""

    pseudo_ct: Tensor
    pseudo_mri: Tensor
    reconstructed_mri: Tensor
    reconstructed_ct: Tensor
    source_features: Tensor
    target_features: Tensor


class SynthesisLearner(Learner):
    """Learns to make pseudo-CTs from MRIs; `averaged` is what is used afterwards."""

    name = "synthesis"

    def __init__(self, config: SynthesisConfig | None = None, seed: int = 0) -> None:
        """Build the networks on the CPU, with weights drawn from ``seed``."""
        self.config = config = config or SynthesisConfig()
        with seeded(seed):
            self.modules = _networks(config)
        self.optimisers = self._optimisers()
        self.rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in self.optimisers.items()}
        self.pools = {"pool_ct": ImagePool(config.pool, seed), "pool_mri": ImagePool(config.pool, seed + 1)}
        self.shown: dict[str, Tensor] = {}

    @property
    def generators(self) -> SharedGenerators:
        """The generators in training."""
        return self.modules["generators"]  # type: ignore[return-value]  # as _networks made it

    @property
    def averaged(self) -> SharedGenerators:
        """The generators' running average: what translates, and what is saved for it."""
        return self.modules[AVERAGE].module  # type: ignore[return-value]  # as _networks made it

    def step(self, batch: SynthesisBatch, step: int, total: int) -> dict[str, float]:
        """See :class:`Learner`."""
        for name, optimiser in self.optimisers.items():
            set_learning_rate(optimiser, self.rates[name] * linear_decay(step, total, flat=self.config.flat))
        made = self._make(batch)
        losses: dict[str, Tensor] = {}
        self.shown = {"mri": batch.mri, "label": batch.label, "pseudo_ct": made.pseudo_ct}
        if self.config.lesion_weight:
            losses["lesion"] = self._update_segmenters(made, batch.label)
        losses |= self._update_generators(made, batch, losses.get("lesion"))
        if self.config.feature_weight:
            losses["domain"] = self._update_domain_discriminator(made)
        losses["discriminators"] = self._update_discriminators(made, batch)
        self.modules[AVERAGE].update_parameters(self.generators)  # type: ignore[operator]  # an AveragedModel
        self.shown |= {"reconstruction": made.reconstructed_mri, "ct": batch.ct, "pseudo_mri": made.pseudo_mri}
        self.shown = {name: image.detach() for name, image in self.shown.items()}
        values = torch.stack([loss.detach() for loss in losses.values()]).tolist()
        return dict(zip(losses, values, strict=True))

    def pictures(self) -> dict[str, Tensor]:
        """MRI, its label and what ``S_ori`` sees in its pseudo-CT, and the other images of the last batch."""
        masks = ("label", "segmentation")
        return {name: image if name in masks else from_network(image) for name, image in self.shown.items()}

    def extra_state(self) -> dict[str, Any]:
        """The image pools, and the shape of the generators so that a checkpoint is enough to build them."""
        return {GENERATOR: asdict(self.config.generator), **{name: p.state_dict() for name, p in self.pools.items()}}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back the image pools."""
        for name, pool in self.pools.items():
            pool.load_state_dict(state[name])

    def _make(self, batch: SynthesisBatch) -> _Made:
        """Translate both images there and back."""
        pseudo_ct, source_features = self.generators.mri_to_ct(batch.mri)
        pseudo_mri, target_features = self.generators.ct_to_mri(batch.ct)
        return _Made(
            pseudo_ct=pseudo_ct,
            pseudo_mri=pseudo_mri,
            reconstructed_mri=self.generators.ct_to_mri(pseudo_ct).image,
            reconstructed_ct=self.generators.mri_to_ct(pseudo_mri).image,
            source_features=source_features,
            target_features=target_features,
        )

    def _update_segmenters(self, made: _Made, label: Tensor) -> Tensor:
        """Equation 5 for the segmenters, on detached images; returns it as the generators' loss.

        The paper has the generators step against frozen segmenters first and then runs the segmenters again, on the
        same images with the same weights. One pass gives both gradients: the images' is taken before the segmenters
        step, and the loss that is returned passes it on to the generators.
        """
        images = [image.detach().requires_grad_() for image in (made.pseudo_ct, made.reconstructed_mri)]
        logits = [self.modules[name](image).logits for name, image in zip(_SEGMENTERS, images, strict=True)]
        loss = segmentation_loss(logits[0], label) + segmentation_loss(logits[1], label)
        update(self.optimisers["segmenters"], loss, clip_norm=self.config.clip_norm)
        self.shown["segmentation"] = probabilities(logits[0])
        gradients = [image.grad for image in images if image.grad is not None]
        passed_on = (made.pseudo_ct * gradients[0]).sum() + (made.reconstructed_mri * gradients[1]).sum()
        return loss.detach() + passed_on - passed_on.detach()

    def _update_generators(self, made: _Made, batch: SynthesisBatch, lesion: Tensor | None) -> dict[str, Tensor]:
        """Equation 1; the features are not detached, so they teach the encoder and the fusion module alike."""
        config, modules = self.config, self.modules
        cycle = cycle_loss(made.reconstructed_mri, batch.mri) + cycle_loss(made.reconstructed_ct, batch.ct)
        losses = {"cycle": cycle}
        total = config.cycle_weight * cycle
        with frozen(*(modules[name] for name in _DISCRIMINATORS)):
            for side, image in (("ct", made.pseudo_ct), ("mri", made.pseudo_mri)):
                losses[f"gan_{side}"] = adversarial_loss(modules[f"discriminator_{side}"](image), True, config.gan_form)
                total = total + losses[f"gan_{side}"]
        if lesion is not None:
            total = total + config.lesion_weight * lesion
        if config.feature_weight:
            with frozen(modules["domain_discriminator"]):
                losses["features"] = domain_loss(modules["domain_discriminator"](made.target_features), source=True)
            total = total + config.feature_weight * losses["features"]
        if config.identity_weight:
            losses["identity"] = identity_loss(self.generators.ct_to_mri(batch.mri).image, batch.mri)
            losses["identity"] = losses["identity"] + identity_loss(self.generators.mri_to_ct(batch.ct).image, batch.ct)
            total = total + config.identity_weight * losses["identity"]
        update(self.optimisers["generators"], total, clip_norm=config.clip_norm)
        return losses | {"generators": total}

    def _update_domain_discriminator(self, made: _Made) -> Tensor:
        """Equation 7, on detached features."""
        discriminator = self.modules["domain_discriminator"]
        loss = domain_loss(discriminator(made.source_features.detach()), source=True)
        loss = loss + domain_loss(discriminator(made.target_features.detach()), source=False)
        update(self.optimisers["domain_discriminator"], loss, clip_norm=self.config.clip_norm)
        return loss

    def _update_discriminators(self, made: _Made, batch: SynthesisBatch) -> Tensor:
        """Equation 3 for both, halved as in CycleGAN; what was made comes from the pools."""
        sides = (("ct", batch.ct, made.pseudo_ct), ("mri", batch.mri, made.pseudo_mri))
        loss = torch.zeros((), device=batch.mri.device)
        for side, real, image in sides:
            discriminator, pool = self.modules[f"discriminator_{side}"], self.pools[f"pool_{side}"]
            loss = loss + 0.5 * adversarial_loss(discriminator(real), True, self.config.gan_form)
            loss = loss + 0.5 * adversarial_loss(discriminator(pool.query(image)), False, self.config.gan_form)
        update(self.optimisers["discriminators"], loss, clip_norm=self.config.clip_norm)
        return loss

    def _optimisers(self) -> dict[str, Optimizer]:
        config = self.config
        found: dict[str, Optimizer] = {
            "generators": Adam(self.generators.parameters(), config.generator_rate, config.betas),
            "discriminators": Adam(self._parameters(*_DISCRIMINATORS), config.discriminator_rate, config.betas),
        }
        if config.feature_weight:
            parameters = self._parameters("domain_discriminator")
            found["domain_discriminator"] = Adam(parameters, config.domain_rate, config.domain_betas)
        if config.lesion_weight:
            parameters = self._parameters(*_SEGMENTERS)
            found["segmenters"] = SGD(parameters, config.segmenter_rate, config.segmenter_momentum)
        return found

    def _parameters(self, *names: str) -> list[nn.Parameter]:
        return [parameter for name in names for parameter in self.modules[name].parameters()]


_DISCRIMINATORS = ("discriminator_ct", "discriminator_mri")

_SEGMENTERS = ("segmenter_original", "segmenter_reconstructed")
"""``S_ori`` on the pseudo-CT, ``S_rec`` on the reconstructed MRI."""


def _networks(config: SynthesisConfig) -> dict[str, nn.Module]:
    generators = SharedGenerators(config.generator)
    found: dict[str, nn.Module] = {"generators": generators, AVERAGE: average_of(generators, config.average)}
    for name in _DISCRIMINATORS:
        found[name] = PatchDiscriminator(
            config.discriminator_channels,
            in_channels=config.generator.in_channels,
            repeats=config.discriminator_repeats,
            norm=config.discriminator_norm,
        )
    if config.feature_weight:
        found["domain_discriminator"] = DomainDiscriminator(config.generator.width, config.domain_channels)
    if config.lesion_weight:
        found |= {name: Fcn(config.segmenter) for name in _SEGMENTERS}
    return found
