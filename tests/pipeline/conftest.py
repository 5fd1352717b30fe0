"""A tiny pipeline, and a few tiny scans for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.flairs import write_decathlon
from helpers.heads import write_head
from helpers.tiny_fine_tuning import write_labelled
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.stages import phantoms


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


@pytest.fixture
def small_phantoms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads of a few slices in place of phantoms, which take seconds each; every fourth without a bleed."""

    def write(*, count: int, directory: Path, after: Callable[[int], None], **others: object) -> None:
        for number in range(count):
            if not (directory / "images" / f"phantom{number}.nii.gz").exists():
                bleed_x = None if number % 4 == 3 else 6.0 + 3 * number
                image = write_labelled(directory / "studies", f"phantom{number}", bleed_x=bleed_x)
                for path, name in (
                    (image, "images/{}.nii.gz"),
                    (image.parent / "labels" / "final" / image.name, "masks/{}-iph.nii.gz"),
                ):
                    place = directory / name.format(f"phantom{number}")
                    place.parent.mkdir(exist_ok=True)
                    shutil.move(path, place)
            after(number + 1)

    monkeypatch.setattr(phantoms, "write_cases", write)
