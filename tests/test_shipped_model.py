"""The weights in ``model/``: whole, small enough, documented, and able to do what they are shipped for."""

import numpy as np
import pytest

from amd_das import models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.inference import Predictor
from amd_das.networks.fcn import FcnConfig
from amd_das.phantom.ct import make_ct


@pytest.fixture(scope="module")
def shipped() -> models.LoadedModel:
    return models.load_current(models.default_model_dir())


def test_the_weights_are_the_papers_network_at_half_width_in_one_small_file(shipped: models.LoadedModel) -> None:
    folder = models.default_model_dir() / "versions" / shipped.info.version
    assert shipped.network.config == FcnConfig.narrowed(2)
    assert (folder / models.WEIGHTS).stat().st_size < 40e6
    assert shipped.info.version.endswith(shipped.info.checksum[:8])


def test_the_card_says_data_scores_and_limits(shipped: models.LoadedModel) -> None:
    card = (models.default_model_dir() / "versions" / shipped.info.version / models.CARD).read_text()
    assert RESEARCH_NOTICE in card
    for needed in ("trained on", "seed", "no CT label took part", "bleeds found", "| Dice |", "## Limits", "licence"):
        assert needed in card
    assert shipped.info.metrics["score"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "least_dice"), [(6, 0.85), (8, 0.7)])
def test_a_phantom_bleed_is_outlined(shipped: models.LoadedModel, seed: int, least_dice: float) -> None:
    case = make_ct(seed, matrix=256)
    result = Predictor(shipped).segment(case.volume)
    label = case.masks["iph"]
    dice = 2 * np.sum(result.mask & label) / (result.mask.sum() + label.sum())
    assert dice > least_dice


@pytest.mark.slow
def test_a_subdural_hematoma_is_not_taken_for_one_in_the_brain(shipped: models.LoadedModel) -> None:
    case = make_ct(7, matrix=256)
    assert case.masks["sdh"].sum() * case.volume.voxel_ml > 10, "the case has a subdural hematoma"
    result = Predictor(shipped).segment(case.volume)
    assert result.measurement.volume_ml < 0.5
