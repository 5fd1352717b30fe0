"""Named configurations: the paper's numbers, what the shipped weights are made with, and a quick one for tests."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from amd_das.errors import ConfigError
from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig
from amd_das.pipeline.config import PipelineConfig
from amd_das.segmentation.augment import RICH
from amd_das.segmentation.batches import BatchConfig
from amd_das.segmentation.config import AdaptationConfig, SelectionConfig
from amd_das.segmentation.painting import HEAD_CT, BleedConfig, PaintConfig
from amd_das.segmentation.self_training import SelfTrainingConfig
from amd_das.segmentation.trust import SpotTrust
from amd_das.slices.prepare import PrepareConfig
from amd_das.synthesis.batches import PairConfig
from amd_das.synthesis.config import SynthesisConfig
from amd_das.training.run import FitConfig

_PAPER_SLICES: Final = 15_480
_PAPER_MATCHED: Final = 5_184


def paper() -> PipelineConfig:
    """Every number of the paper, or of the authors' code where it is silent; for a GPU and a day or more.

    How long the stages were trained is not said; ours: 20 epochs of stage 1, 100 of stage 2.
    """
    return PipelineConfig(
        name="paper",
        source_heads=387,
        target_heads=1100,
        synthesis_fit=FitConfig(batch=2, steps=20 * _PAPER_SLICES // 2, checkpoint_steps=2000, picture_steps=2000),
        segmentation_fit=FitConfig(
            batch=12, steps=100 * _PAPER_MATCHED // 12, checkpoint_steps=1000, validate_steps=1000
        ),
    )


def shipped() -> PipelineConfig:
    """The whole pipeline where there is no GPU: narrow networks, crops, hours of training."""
    fcn = FcnConfig.narrowed(2)
    first = SelfTrainingConfig(
        fit=FitConfig(batch=12, steps=1500, checkpoint_steps=100, validate_steps=500),
        learning_rate=1e-3,
        share=2 / 3,
        paint=PaintConfig(bone=0.2, calcium=0.25, falx=0.2, streaks=0.08, subdural=0.3, csf_blood=0.45),
    )
    second = replace(first, fit=replace(first.fit, steps=3600, validate_steps=600))
    third = replace(
        first,
        fit=replace(first.fit, steps=1500, validate_steps=1500),
        average=0.999,
        bleeds=BleedConfig(faint=0.35),
    )
    return PipelineConfig(
        name="shipped",
        source_heads=200,
        target_heads=300,
        synthesis=SynthesisConfig(
            generator=GeneratorConfig(channels=16),
            discriminator_channels=32,
            domain_channels=32,
            segmenter=FcnConfig.narrowed(4),
            average=0.995,
        ),
        pairs=PairConfig(flip=True, crop=160),
        synthesis_fit=FitConfig(batch=2, steps=5000, checkpoint_steps=250, picture_steps=500),
        segmentation=AdaptationConfig(
            network=fcn,
            optimiser="adamw",
            learning_rate=1.5e-3,
            weight_decay=1e-3,
            warm_up=0.05,
            decay="cosine",
            dice_weight=0.5,
            average=0.998,
            clip_norm=1.0,
            statistics="both",
            discriminator_channels=32,
        ),
        batches=BatchConfig(
            augment=RICH, paint=HEAD_CT, augment_target=True, lesion_share=0.7, patches=((0, 128), (1500, 160))
        ),
        segmentation_fit=FitConfig(batch=12, steps=2200, checkpoint_steps=200, validate_steps=400),
        self_training=(first, second, third),
    )


def adapt() -> PipelineConfig:
    """From the model in use on, with CT alone: no label and no MRI. About half an hour on two cores.

    Beside CT of one's own, half of each batch are phantom heads: on a few scans alone it forgets what is no bleed.
    Whole spots are believed or not. More blood is painted where it is no lesion, in ventricles above all, and bleeds
    that are small, beside ventricles and in the poles of the lobes: what earlier rounds confused or missed.
    """
    before = shipped()
    last = before.self_training[-1]
    first = replace(
        last,
        fit=FitConfig(batch=12, steps=1200, checkpoint_steps=100, validate_steps=1200),
        average=0.998,
        dice_by_slice=0.15,
        share=0.5,
        trust=SpotTrust(),
        bleeds=BleedConfig(faint=0.3, beside=0.4, island=0.4, small=0.2, effaced=0.3),
        paint=replace(last.paint, falx=0.25, csf_blood=0.0, settled_blood=0.75, sinus=0.12, infarct=0.15),
    )
    second = replace(first, fit=replace(first.fit, steps=900, validate_steps=900))
    return replace(
        before,
        name="adapt",
        starts_from="published",
        rehearsal_heads=80,
        batches=replace(before.batches, patches=((0, 160),)),
        self_training=(first, second),
    )


def renew() -> PipelineConfig:
    """Another network, from random weights, taught by the model in use on CT alone. An hour and a half on two cores.

    What a long line of trainings has got into the habit of is left behind; what is painted is what `adapt` paints.
    """
    before = adapt()
    only = replace(
        before.self_training[0],
        fit=FitConfig(batch=12, steps=7000, checkpoint_steps=100, validate_steps=7000),
        afresh=True,
        warm_up=0.04,
        learning_rate=1.2e-3,
        average=0.999,
        dice_by_slice=0.1,
        bleeds=replace(before.self_training[0].bleeds, small=0.15),
    )
    return replace(
        before,
        name="renew",
        batches=replace(before.batches, patches=((0, 128), (1200, 160))),
        self_training=(only,),
    )


def smoke() -> PipelineConfig:
    """Minutes on two cores, to see every step work; the weights are of no use."""
    tiny = FcnConfig.narrowed(8)
    return PipelineConfig(
        name="smoke",
        for_use=False,
        source_heads=4,
        target_heads=4,
        prepare=PrepareConfig(every=2),
        synthesis=SynthesisConfig(
            generator=GeneratorConfig(channels=8, layers=2),
            discriminator_channels=8,
            domain_channels=8,
            segmenter=tiny,
            average=0.9,
        ),
        pairs=PairConfig(crop=96),
        synthesis_fit=FitConfig(batch=2, steps=40, checkpoint_steps=10, log_steps=5, picture_steps=20),
        segmentation=AdaptationConfig(
            network=tiny, optimiser="adamw", learning_rate=2e-3, dice_weight=0.5, average=0.9, discriminator_channels=8
        ),
        batches=BatchConfig(lesion_share=0.7, patches=((0, 96),)),
        segmentation_fit=FitConfig(
            batch=8, steps=60, checkpoint_steps=10, log_steps=5, picture_steps=20, validate_steps=30
        ),
        self_training=(
            SelfTrainingConfig(
                fit=FitConfig(batch=8, steps=20, checkpoint_steps=10, log_steps=5, picture_steps=20, validate_steps=10),
                average=0.9,
            ),
        ),
        selection=SelectionConfig(slices=24),
        validation_share=0.25,
    )


PRESETS: Final[Mapping[str, Callable[[], PipelineConfig]]] = {
    "shipped": shipped,
    "adapt": adapt,
    "renew": renew,
    "smoke": smoke,
    "paper": paper,
}
"""By name, in the order of :data:`amd_das.conventions.PRESETS`."""


def preset(name: str) -> PipelineConfig:
    """The configuration of this name; raises ConfigError for another."""
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]()
