"""What decides a fine-tuning. The paper only says that training goes on from AMD-DAS's weights; numbers are ours."""

from dataclasses import dataclass, field

from amd_das.comparison.rule import RuleConfig
from amd_das.errors import ConfigError
from amd_das.segmentation.augment import RICH, AugmentConfig
from amd_das.slices.prepare import PrepareConfig
from amd_das.training.device import Precision

STAGES = 5
"""Of the encoder; `FineTuneConfig.frozen_stages` counts from the image."""


@dataclass(frozen=True, kw_only=True)
class FineTuneConfig:
    """One fine-tuning."""

    steps: int = 300
    """At most so many optimiser steps."""

    few_steps: int = 80
    """Exactly so many where no labelled patient is held out: nothing could say when to stop."""

    learning_rate: float = 1e-3
    """Peak of AdamW's cosine. From 10 labelled phantom heads it brought Dice on others from 0.47 to 0.61 in 120 steps
    with no stage frozen; half of it with 2 frozen to 0.54."""

    frozen_stages: int = 1
    """Encoder stages, from the image on, that stay as they are, of 5: the first sees edges, which few labels cannot
    teach better."""

    frozen_statistics: bool = True
    """Whether batch normalisation keeps its running statistics: batches of a few heads are no sample of all heads."""

    batch: int = 12
    patch: int = 160
    """Side of the squares cut out around lesions and elsewhere, pixels."""

    pseudo_ct_share: float = 0.25
    """Part of each batch that is pseudo-CT, where there is any: so that what was known is not forgotten."""

    lesion_share: float = 0.4
    """Part of the slices that show a lesion, where there are both kinds."""

    wrong_share: float = 0.6
    """Part of the labelled CT slices that is drawn from those which the model in use outlines wrongly: corrections are
    what there is to learn."""

    wrong_px: int = 20
    """A slice is wrong where so many pixels differ from the label."""

    augment: AugmentConfig = field(default_factory=lambda: RICH)

    average: float = 0.98
    """Decay of the running average of the weights, which is what is kept."""

    validate_steps: int = 40
    """The held-out slices are looked at every so many steps."""

    patience: int = 4
    """Training ends when so many looks in a row were no better than the best."""

    judge_slices: int = 240
    """At most so many held-out slices are looked at, evenly spread."""

    rule: RuleConfig = field(default_factory=RuleConfig)
    """Champion against challenger."""

    prepare: PrepareConfig = field(
        default_factory=lambda: PrepareConfig(least_slices=1, lesions_needed=False, validation_share=0)
    )

    device: str = "auto"
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "few_steps", "batch", "validate_steps", "patience", "judge_slices", "wrong_px"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least 1")
        if not 32 <= self.patch <= 240:
            raise ConfigError(f"patch {self.patch}: expected 32 to 240 pixels")
        if not 0.0 < self.learning_rate <= 0.1:
            raise ConfigError(f"learning_rate {self.learning_rate}: expected above 0 and at most 0.1")
        if not 0 <= self.frozen_stages <= STAGES:
            raise ConfigError(f"frozen_stages {self.frozen_stages}: expected 0 to {STAGES}")
        for name in ("pseudo_ct_share", "lesion_share", "wrong_share", "average"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more and below 1")
