"""Publishing the interim weights: with a card, and only when the run has finished."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from amd_das import models
from amd_das.errors import ConfigError
from amd_das.interim import publish
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.supervised import AVERAGE, RECORD

TINY = FcnConfig(stages=((4,), (4,), (8,), (8,), (8,)), decoder_tail=4)


def test_a_finished_run_is_published_with_a_card(tmp_path: Path) -> None:
    workdir, model_dir = tmp_path / "run", tmp_path / "model"
    workdir.mkdir()
    torch.save(Fcn(TINY).state_dict(), workdir / AVERAGE)
    record = {
        "data": "2 heads",
        "labels": "exact",
        "device": "CPU",
        "torch": "2",
        "minutes": 3.5,
        "config": {"seed": 7, "network": asdict(TINY)},
    }
    (workdir / RECORD).write_text(json.dumps(record))
    info = publish(workdir, model_dir, {"mean_dice": 0.5})
    assert models.load_current(model_dir).info.checksum == info.checksum
    assert json.loads(json.dumps(info.training)) == json.loads(json.dumps(record))
    card = (model_dir / "versions" / info.version / models.CARD).read_text()
    assert "not for diagnosis or treatment" in card
    assert "| mean dice | 0.5 |" in card
    assert "2 heads" in card


def test_an_unfinished_run_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        publish(tmp_path, tmp_path / "model", {})
    assert list(tmp_path.iterdir()) == []
