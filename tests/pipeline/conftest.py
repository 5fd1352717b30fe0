"""A pipeline small enough for a test: a few tiny scans, networks of a few channels, a few steps."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.flairs import write_decathlon
from helpers.heads import write_head

from amd_das.networks.fcn import FcnConfig
from amd_das.networks.generator import GeneratorConfig
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.presets import smoke
from amd_das.segmentation.batches import BatchConfig
from amd_das.slices.prepare import PrepareConfig
from amd_das.synthesis.batches import PairConfig

TINY = FcnConfig(stages=((4,), (4,), (4,), (4,), (4,)), decoder_tail=4)


@pytest.fixture(scope="session")
def tiny_config() -> PipelineConfig:
    config = smoke()
    return replace(
        config,
        name="tiny",
        prepare=PrepareConfig(least_slices=4, source_slices=(40, 110)),
        synthesis=replace(config.synthesis, segmenter=TINY, generator=GeneratorConfig(channels=2, layers=1)),
        pairs=PairConfig(crop=64),
        synthesis_fit=replace(config.synthesis_fit, steps=4, checkpoint_steps=2, picture_steps=0),
        segmentation=replace(config.segmentation, network=TINY),
        batches=BatchConfig(patches=((0, 64),)),
        segmentation_fit=replace(config.segmentation_fit, steps=4, batch=2, validate_steps=2, picture_steps=0),
        selection=replace(config.selection, slices=4),
    )


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decathlon(tmp_path_factory.mktemp("source"), "BRATS_001", "BRATS_002", "BRATS_003")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    for number, bleed_x in enumerate((10, -10, 14)):
        write_head(folder / f"head{number}.nii.gz", bleed_x=bleed_x)
    return folder
