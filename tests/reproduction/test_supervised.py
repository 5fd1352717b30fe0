"""Networks of Table 5 learn, and stop when asked to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import TrainingStopped
from amd_das.pipeline.config import PipelineConfig
from amd_das.reproduction.scores import score
from amd_das.reproduction.supervised import NamedUNet, train


def test_monais_u_net_learns(tmp_path: Path) -> None:
    config: PipelineConfig = tiny_pipeline()
    config = replace(
        config,
        segmentation=replace(config.segmentation, learning_rate=1e-2),
        segmentation_fit=replace(config.segmentation_fit, steps=40, batch=4),
    )
    store = disc_store(tmp_path / "s", "source", patients=4)
    torch.manual_seed(0)
    network, told = NamedUNet(4), []
    before = score(network, store)
    train(network, store, np.arange(len(store)), config, lambda *at: told.append(at), lambda: False)
    after = score(network, store)
    assert after.paper_way > before.paper_way
    assert told == [(step, 40) for step in range(40)]
    assert network(torch.zeros(1, 1, 50, 61)).logits.shape == (1, 1, 50, 61)
    with pytest.raises(TrainingStopped, match="stopped"):
        train(network, store, np.arange(len(store)), config, lambda *at: None, lambda: True)
