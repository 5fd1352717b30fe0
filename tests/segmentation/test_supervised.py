"""The interim training: it learns, and it continues after an interruption."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from amd_das.errors import ConfigError
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.phantom_slices import PatchConfig
from amd_das.segmentation.supervised import AVERAGE, CHECKPOINT, SupervisedConfig, train

TINY = FcnConfig(stages=((4,), (4,), (8,), (8,), (8,)), decoder_tail=4)
CONFIG = SupervisedConfig(
    network=TINY, cases=1, first_cases=1, steps=6, checkpoint_steps=3, patch=(64, 96), patches=PatchConfig(batch=4)
)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A folder that already holds one easy case, so nothing need be rendered: a bright disc in a brain."""
    cases = tmp_path / "cases"
    cases.mkdir()
    rows, columns = np.ogrid[:240, :240]
    brain = np.repeat(((rows - 120) ** 2 / 85**2 + (columns - 120) ** 2 / 65**2 < 1)[None], 3, 0)
    iph = np.repeat(((rows - 100) ** 2 + (columns - 140) ** 2 < 15**2)[None], 3, 0)
    window = np.where(iph, 170, np.where(brain, 80, 0)).astype(np.uint8)
    packed = {name: np.packbits(mask) for name, mask in {"brain": brain, "iph": iph, "other": iph & False}.items()}
    np.savez_compressed(cases / "100000.npz", window=window, stripped=window, **packed)
    return tmp_path


def test_a_run_ends_with_weights_and_a_record(workdir: Path) -> None:
    network = train(CONFIG, workdir)
    assert not network.training
    saved = torch.load(workdir / AVERAGE, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in network.state_dict().items())
    record = json.loads((workdir / "record.json").read_text())
    assert record["config"]["steps"] == 6


def test_an_interrupted_run_continues_where_it_was(workdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(replace(CONFIG, steps=3), workdir)
    before = torch.load(workdir / CHECKPOINT, weights_only=True)
    assert before["step"] == 3
    with caplog.at_level("INFO"):
        train(CONFIG, workdir)
    assert "continuing at step 3" in caplog.text
    assert torch.load(workdir / CHECKPOINT, weights_only=True)["step"] == 6


@pytest.mark.slow
def test_it_learns_to_find_a_bright_disc(workdir: Path) -> None:
    config = replace(CONFIG, steps=120, learning_rate=5e-3, average=0.9)
    network = train(config, workdir)
    with np.load(workdir / "cases" / "100000.npz") as data:
        image = torch.from_numpy(data["stripped"][:1].astype(np.float32))[None] / 127.5 - 1
        disc = torch.from_numpy(np.unpackbits(data["iph"], count=240 * 240).reshape(240, 240).astype(bool))
    with torch.no_grad():
        found = network(image).logits[0, 0] > 0
    overlap = 2 * (found & disc).sum() / (found.sum() + disc.sum())
    assert overlap > 0.8


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        replace(CONFIG, steps=0)


def test_the_default_network_is_the_papers() -> None:
    assert Fcn().config == FcnConfig()
