"""A pipeline small enough for a test: networks of a few channels, a few steps.

Run as a script, with folders of source and target, a working and a model folder, it is a pipeline for torchrun.
"""

import sys
from dataclasses import replace
from pathlib import Path

from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.presets import smoke
from amd_das.pipeline.run import run
from amd_das.segmentation.batches import BatchConfig
from amd_das.segmentation.self_training import SelfTrainingConfig
from amd_das.segmentation.trust import SliceTrust
from amd_das.slices.prepare import PrepareConfig
from amd_das.synthesis.batches import PairConfig

TINY = FcnConfig(stages=((4,), (4,), (4,), (4,), (4,)), decoder_tail=4)


def tiny_pipeline() -> PipelineConfig:
    """Takes a few seconds."""
    config = smoke()
    round_ = SelfTrainingConfig(
        fit=replace(config.segmentation_fit, steps=2, batch=2, validate_steps=2, picture_steps=0),
        trust=SliceTrust(least_px=240 * 240),  # so it is sure of everything
    )
    return replace(
        config,
        name="tiny",
        for_use=True,
        prepare=PrepareConfig(least_slices=4, source_slices=(40, 110)),
        synthesis=replace(config.synthesis, segmenter=TINY, generator=GeneratorConfig(channels=2, layers=1)),
        pairs=PairConfig(crop=64),
        synthesis_fit=replace(config.synthesis_fit, steps=4, checkpoint_steps=2, picture_steps=0),
        segmentation=replace(config.segmentation, network=TINY),
        batches=BatchConfig(patches=((0, 64),)),
        segmentation_fit=replace(config.segmentation_fit, steps=4, batch=2, validate_steps=2, picture_steps=0),
        self_training=(round_, round_),
        selection=replace(config.selection, slices=4),
    )


if __name__ == "__main__":
    source, target, workdir, model_dir = map(Path, sys.argv[1:])
    done = run(tiny_pipeline(), workdir, model_dir, source=source, target=target, processes=1)
    sys.stdout.write(f"published {done.version}\n")
