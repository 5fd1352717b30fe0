"""Sizes of the tables."""

import pytest

from amd_das.errors import ConfigError
from amd_das.pipeline.presets import paper
from amd_das.reproduction.presets import NAMES, preset, seeded, small


def test_presets_are_the_pipelines_and_one_more() -> None:
    assert [preset(name).name for name in NAMES] == list(NAMES)
    assert preset("paper") == paper()
    with pytest.raises(ConfigError, match="no preset 'large'; there are: smoke, small, shipped, paper"):
        preset("large")


def test_small_keeps_to_the_papers_method() -> None:
    ours, theirs = small(), paper()
    assert (ours.batches.paint, ours.batches.augment) == (theirs.batches.paint, theirs.batches.augment)
    assert (ours.segmentation.statistics, ours.self_training) == (theirs.segmentation.statistics, ())
    for weight in ("cycle_weight", "lesion_weight", "feature_weight", "identity_weight"):
        assert getattr(ours.synthesis, weight) == getattr(theirs.synthesis, weight)
    assert ours.segmentation.adversarial_weight == theirs.segmentation.adversarial_weight


def test_seed_and_device_reach_every_training() -> None:
    config = seeded(preset("shipped", "cpu"), 3)
    fits = [config.synthesis_fit, config.segmentation_fit, *(one.fit for one in config.self_training)]
    assert len(fits) == 5
    assert config.seed == 3
    assert {(fit.seed, fit.device) for fit in fits} == {(3, "cpu")}
    assert seeded(preset("smoke"), 0) == preset("smoke")
