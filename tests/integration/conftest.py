"""Servers shared by the tests: one as it comes, one with everything allowed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.heads import save_blood_detector, write_head
from helpers.running_orthanc import Orthanc, missing, start_orthanc
from helpers.running_server import RunningServer, start_server


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with weights set by hand."""
    folder = tmp_path_factory.mktemp("model")
    save_blood_detector(folder)
    return folder


def _with_studies(folder: Path) -> Path:
    (folder / "studies").mkdir()
    write_head(folder / "studies" / "right.nii.gz", bleed_x=10)
    write_head(folder / "studies" / "left.nii.gz", bleed_x=-10)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[RunningServer]:
    """As it comes: nothing is allowed that is not on by default; small limits."""
    folder = _with_studies(tmp_path_factory.mktemp("server"))
    running = start_server(
        folder, model_dir, AMD_DAS_MAX_UPLOAD_BYTES=str(4 * 2**20), AMD_DAS_MAX_VOXELS=str(2_000_000)
    )
    yield running.wait_until_ready()
    running.close()


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[RunningServer]:
    """With sessions, images and models allowed."""
    folder = _with_studies(tmp_path_factory.mktemp("open-server"))
    running = start_server(
        folder,
        model_dir,
        AMD_DAS_ALLOW="images,models,sessions",
        AMD_DAS_MAX_SESSIONS="4",
        AMD_DAS_MAX_ARCHIVE_BYTES=str(4 * 2**20),
        AMD_DAS_MAX_ARCHIVE_FILES="50",
    )
    yield running.wait_until_ready()
    running.close()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A real PACS, empty at the start of each file of tests."""
    if lacking := missing():
        pytest.skip(lacking)
    running = start_orthanc(tmp_path_factory.mktemp("orthanc"))
    yield running
    running.kill()  # an orderly stop takes seconds


@pytest.fixture(scope="module")
def pacs_server(tmp_path_factory: pytest.TempPathFactory, model_dir: Path, orthanc: Orthanc) -> Iterator[RunningServer]:
    """Before that PACS; ask for what should be in it at the start first."""
    running = start_server(tmp_path_factory.mktemp("server"), model_dir, studies=orthanc.url)
    yield running.wait_until_ready()
    running.close()
