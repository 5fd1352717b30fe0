"""The presets: the paper's numbers are the paper's."""

import json
from dataclasses import asdict

import pytest

from amd_das import conventions
from amd_das.errors import ConfigError
from amd_das.pipeline.presets import PRESETS, preset


def test_the_preset_paper_holds_the_papers_numbers() -> None:
    paper = preset("paper")
    assert paper.prepare.source_slices == (60, 99)
    assert (paper.matching.candidates, paper.matching.hamming_weight, paper.matching.lesion_threshold) == (20, 100, 120)
    stage1 = paper.synthesis
    assert (stage1.cycle_weight, stage1.lesion_weight, stage1.feature_weight) == (5, 50, 15)
    assert (stage1.generator_rate, stage1.discriminator_rate, stage1.betas) == (2e-4, 2e-4, (0.5, 0.99))
    assert (stage1.segmenter_rate, stage1.segmenter_momentum) == (0.1, 0.7)
    assert paper.synthesis_fit.batch == 2
    stage2 = paper.segmentation
    assert (stage2.optimiser, stage2.learning_rate, stage2.momentum) == ("sgd", 0.1, 0.7)
    assert stage2.discriminator_betas == (0.9, 0.99)
    assert paper.segmentation_fit.batch == 12
    assert (paper.batches.augment.flip_lr, paper.batches.augment.flip_ap, paper.batches.augment.brightness) == (
        0.5,
        0.5,
        0.2,
    )
    assert stage2.network == stage1.segmenter
    assert stage2.network.stages[-1] == (512, 512, 512)
    assert paper.matched


def test_those_that_commands_and_lists_offer_are_those_there_are() -> None:
    assert list(PRESETS) == list(conventions.PRESETS)


@pytest.mark.parametrize("name", ["adapt", "renew"])
def test_rounds_without_a_source_keep_their_last_network(name: str) -> None:
    """What held-out scans agree on, all there is to judge by, ranks a network that has learnt little first."""
    for round_ in preset(name).self_training:
        assert round_.fit.validate_steps == round_.fit.steps


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_named_as_they_are_called_and_can_be_recorded(name: str) -> None:
    config = preset(name)
    assert config.name == name
    assert json.loads(json.dumps(asdict(config)))["name"] == name


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no preset 'best'; there are: shipped, adapt, renew, smoke, paper"):
        preset("best")
