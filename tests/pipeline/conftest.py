"""A tiny pipeline, and a few tiny scans for it."""

from pathlib import Path

import pytest
from helpers.flairs import write_decathlon
from helpers.heads import write_head
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.pipeline.config import PipelineConfig


@pytest.fixture(scope="session")
def tiny_config() -> PipelineConfig:
    return tiny_pipeline()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decathlon(tmp_path_factory.mktemp("source"), "BRATS_001", "BRATS_002", "BRATS_003")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    for number, bleed_x in enumerate((10, -10, 14)):
        write_head(folder / f"head{number}.nii.gz", bleed_x=bleed_x)
    return folder
