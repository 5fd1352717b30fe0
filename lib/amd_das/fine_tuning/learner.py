"""The FCN goes on learning from where it is: lower layers and batch statistics stay, and the outlines are corrected."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from amd_das.fine_tuning.batches import LabelledBatch
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.networks.fcn import FcnConfig
from amd_das.segmentation.config import AdaptationConfig
from amd_das.segmentation.learner import AdaptationLearner


class FineTuneLearner(AdaptationLearner):
    """Stage 2 without a discriminator, from trained weights, with a part of the network frozen."""

    name = "fine_tuning"

    def __init__(self, network: FcnConfig, weights: Mapping[str, Tensor], config: FineTuneConfig) -> None:
        """Construct it under `amd_das.training.learner.seeded`.

        Args:
            network: shape of the FCN.
            weights: of the model in use.
            config: see there.
        """
        settings = AdaptationConfig(
            network=network,
            optimiser="adamw",
            learning_rate=config.learning_rate,
            weight_decay=1e-3,
            warm_up=0.1,
            decay="cosine",
            adversarial_weight=0.0,
            dice_weight=0.5,
            average=config.average,
            clip_norm=1.0,
        )
        super().__init__(settings, weights)
        for stage in self.fcn.encoder[: config.frozen_stages]:
            stage.requires_grad_(False)
        layers = [part for part in self.fcn.modules() if isinstance(part, _BatchNorm)]
        frozen = {part for stage in self.fcn.encoder[: config.frozen_stages] for part in stage.modules()}
        self._settled = [layer for layer in layers if config.frozen_statistics or layer in frozen]

    def step(self, batch: LabelledBatch, step: int, total: int) -> dict[str, float]:  # type: ignore[override]
        """See `Learner.step`; the engine has put everything in training mode before."""
        for layer in self._settled:
            layer.eval()
        given: Any = batch  # of which stage 2 without a discriminator looks at image and label alone
        return super().step(given, step, total)
