"""The sizes tables are made in: the pipeline's presets, and one between "smoke" and "shipped" for less than an hour."""

from dataclasses import replace
from typing import Final

from amd_das.errors import ConfigError
from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig
from amd_das.pipeline import presets
from amd_das.pipeline.config import PipelineConfig
from amd_das.segmentation.batches import BatchConfig
from amd_das.segmentation.config import AdaptationConfig, SelectionConfig
from amd_das.synthesis.batches import PairConfig
from amd_das.synthesis.config import SynthesisConfig
from amd_das.training.run import FitConfig

SMALL: Final = "small"
NAMES: Final = ("smoke", SMALL, "shipped", "paper")

NOTES: Final = {
    "smoke": "Preset smoke: networks of a few channels, seen a few heads for a few seconds. Its numbers mean nothing; "
    "they show that every row runs to its end.",
    SMALL: "Preset small: narrow networks and minutes of training. Rows can be compared where they differ by more than "
    "their seeds do; none is as good as it becomes.",
}
"""What a reader must know about a table of this size."""


def small() -> PipelineConfig:
    """Every part of the method as in the paper, small enough for the ablation in less than an hour on a core.

    Nothing of what "shipped" adds to the method (painted confounders, strong changes, statistics of both domains,
    self-training): rows differ by the paper's parts alone. With networks of stage 1 narrower than these the lesion loss
    drowns the GAN losses, and pseudo-CT come out dark.
    """
    return PipelineConfig(
        name=SMALL,
        source_heads=48,
        target_heads=64,
        synthesis=SynthesisConfig(
            generator=GeneratorConfig(channels=16),
            discriminator_channels=32,
            domain_channels=32,
            segmenter=FcnConfig.narrowed(4),
            average=0.99,
        ),
        pairs=PairConfig(flip=True, crop=128),
        synthesis_fit=FitConfig(batch=2, steps=600, checkpoint_steps=50, picture_steps=0),
        segmentation=AdaptationConfig(
            network=FcnConfig.narrowed(4),
            optimiser="adamw",
            learning_rate=1.5e-3,
            decay="cosine",
            warm_up=0.05,
            dice_weight=0.5,
            average=0.97,
            discriminator_channels=16,
        ),
        batches=BatchConfig(lesion_share=0.7, patches=((0, 128),)),
        segmentation_fit=FitConfig(batch=8, steps=420, checkpoint_steps=40, picture_steps=0, validate_steps=140),
        selection=SelectionConfig(slices=64),
    )


def preset(name: str, device: str | None = None) -> PipelineConfig:
    """The configuration of this name, trained on ``device`` (None: a GPU where there is one).

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in NAMES:
        raise ConfigError(f"no preset {name!r}; there are: {', '.join(NAMES)}")
    config = small() if name == SMALL else presets.preset(name)
    return config.fitted(device=device) if device else config


def seeded(config: PipelineConfig, seed: int) -> PipelineConfig:
    """The same with everything drawn anew, but for the data and who is held out."""
    return replace(config, seed=seed).fitted(seed=seed)
