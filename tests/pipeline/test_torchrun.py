"""Two processes on this machine run one pipeline."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import tiny_pipeline

from amd_das import models


@pytest.mark.slow
def test_two_processes_train_and_publish_one_version(source: Path, target: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    folders = [source, target, tmp_path / "work", tmp_path / "model"]
    done = subprocess.run(
        [*torchrun, str(tiny_pipeline.__file__), *map(str, folders)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (version,) = models.list_versions(tmp_path / "model")
    assert done.stdout.split() == ["published", version] * 2
    assert len(list((tmp_path / "work").glob("segmentation-*/best.pt"))) == 1
