"""The configuration of stage 1: the paper's numbers, and impossible ones refused."""

from typing import Any

import pytest

from amd_das.errors import ConfigError
from amd_das.synthesis.config import SynthesisConfig


def test_the_defaults_are_the_papers() -> None:
    config = SynthesisConfig()
    assert (config.cycle_weight, config.lesion_weight, config.feature_weight) == (5, 50, 15)
    assert (config.generator_rate, config.discriminator_rate, config.betas) == (2e-4, 2e-4, (0.5, 0.99))
    assert (config.segmenter_rate, config.segmenter_momentum) == (0.1, 0.7)
    assert config.segmenter.stages[-1] == (512, 512, 512)


@pytest.mark.parametrize(
    "wrong",
    [
        {"discriminator_channels": 0},
        {"cycle_weight": -1.0},
        {"lesion_weight": float("nan")},
        {"generator_rate": 0.0},
        {"betas": (0.5, 1.0)},
        {"domain_betas": (0.9,)},
        {"average": 1.0},
        {"flat": 1.5},
        {"pool": -1},
        {"clip_norm": 0.0},
        {"gan_form": "hinge"},
        {"discriminator_norm": "layer"},
    ],
)
def test_impossible_values_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} .*: expected"):
        SynthesisConfig(**wrong)
