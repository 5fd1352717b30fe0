"""Judging without target labels: who finds lesions ranks above who guesses, thresholds, or says the same of all."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_slices, disc_store
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from amd_das.errors import ConfigError, TrainingError
from amd_das.segmentation.config import SelectionConfig
from amd_das.segmentation.scores import (
    Agreement,
    bright_clusters,
    pooled_dice,
    predict,
    score,
    spread,
    target_agreement,
    views,
)
from amd_das.slices import SliceStore, network_image

CONFIG = SelectionConfig(batch=3)


class Stand(nn.Module):
    """A network that says what a function of the image says."""

    def __init__(self, says: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.says = says

    def forward(self, image: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.says(image).float() * 20 - 10)


def perfect(image: Tensor) -> Tensor:
    """Discs are 170, tissue is 80, noise is averaged away."""
    return avg_pool2d(image, 7, 1, 3) > 0


def noisy(image: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(int(image.abs().sum()))
    return perfect(image) ^ ((torch.rand(image.shape, generator=generator) < 0.04) & (image > -1))


def bright_pixels(image: Tensor) -> Tensor:
    return image > 120 / 127.5 - 1


def tissue(image: Tensor) -> Tensor:
    """A blob in the middle, whatever is there."""
    found = torch.zeros_like(image)
    height, width = image.shape[-2:]
    found[..., height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20] = 1
    return found


PREDICTORS = {
    "perfect": perfect,
    "noisy": noisy,
    "nothing": torch.zeros_like,
    "all": torch.ones_like,
    "bright": bright_pixels,
    "tissue": tissue,
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return disc_store(tmp_path_factory.mktemp("target"), "target", patients=2, slices=5, noise=16)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return disc_store(tmp_path_factory.mktemp("source"), "pseudo_ct", patients=2, slices=5)


def test_the_unlabelled_criterion_puts_the_perfect_predictor_first(target: SliceStore) -> None:
    found = {
        name: target_agreement(Stand(says), target, np.arange(len(target)), CONFIG) for name, says in PREDICTORS.items()
    }
    scores = {name: agreement.score for name, agreement in found.items() if agreement is not None}
    assert scores["perfect"] > 0.9
    assert scores["nothing"] == 0
    assert scores["perfect"] > 1.2 * max(value for name, value in scores.items() if name != "perfect"), scores
    assert all(0 <= part <= 1 for agreement in found.values() if agreement for part in agreement)


def test_a_lesion_that_is_rarely_found_lowers_the_presence(target: SliceStore) -> None:
    calls = iter(range(100))

    def once(image: Tensor) -> Tensor:
        return perfect(image) & (next(calls) < 2)

    config = SelectionConfig(batch=1, presence=0.9)
    found = target_agreement(Stand(once), target, np.arange(len(target)), config)
    assert found is not None
    assert found.presence < 0.5
    assert found.agreement > 0.9


def test_where_nothing_is_bright_the_target_is_not_judged(tmp_path: Path) -> None:
    dark = disc_store(tmp_path, "target", patients=1, lesions=0.0, noise=16)
    assert target_agreement(Stand(perfect), dark, np.arange(len(dark)), CONFIG) is None
    assert score(0.6, None, CONFIG) == 0.6
    assert score(None, None, CONFIG) == 0.0


def test_noise_is_no_cluster_and_a_disc_is() -> None:
    images, labels = disc_slices(4, noise=16)
    assert (images[2:] > 120).sum() > 100
    clusters = bright_clusters(images)
    assert clusters[2:].sum() < 20
    assert 2 * (clusters & (labels > 0)).sum() / (clusters.sum() + labels.sum()) > 0.85


def test_views_differ_in_brightness_and_side_only() -> None:
    image = network_image(disc_slices(1)[0])
    darker, brighter = views(image, 0.03)
    unmirrored = brighter.flip(-1)
    inside = (image > -0.9) & (image < 0.9)
    assert torch.allclose((unmirrored - darker)[inside], torch.tensor(0.12), atol=1e-5)
    assert (darker[image == -1] == -1).all()
    assert (unmirrored[image == -1] == -1).all()


def test_the_score_needs_both_domains() -> None:
    good, bad = Agreement(0.9, 1.0, 1.0), Agreement(0.9, 0.1, 1.0)
    assert score(0.8, good, CONFIG) > score(0.8, bad, CONFIG) > score(0.0, good, CONFIG) == 0
    assert score(0.81, Agreement(0.49, 1.0, 1.0), CONFIG) == pytest.approx(0.63)
    assert score(0.3, good, SelectionConfig(target_weight=0.0)) == pytest.approx(0.3)
    assert score(0.3, good, SelectionConfig(target_weight=1.0)) == pytest.approx(0.9)
    assert score(None, good, CONFIG) == pytest.approx(0.9)


def test_source_dice_is_over_all_pixels(source: SliceStore) -> None:
    indices = np.arange(len(source))
    assert pooled_dice(Stand(perfect), source, indices, CONFIG) > 0.9
    assert pooled_dice(Stand(torch.zeros_like), source, indices, CONFIG) == 0
    assert source.labels is not None
    labels, brain = source.labels.astype(bool), source.images > 0
    inside = Stand(lambda image: image > -1)
    expected = 2 * labels[brain].sum() / (labels.sum() + brain.sum())
    assert pooled_dice(inside, source, indices, CONFIG) == pytest.approx(expected)


def test_a_store_without_labels_has_no_dice(target: SliceStore) -> None:
    with pytest.raises(TrainingError, match="no labels"):
        pooled_dice(Stand(perfect), target, np.arange(2), CONFIG)


@pytest.mark.parametrize("training", [True, False])
def test_predicting_leaves_the_network_as_it_was(training: bool) -> None:
    network = Stand(lambda image: image > 0).train(training)
    predict(network, network_image(disc_slices(1)[0]), 0.5)
    assert network.training is training


def test_margins_are_left_out_and_put_back() -> None:
    image = torch.full((2, 1, 240, 240), -1.0)
    image[0, :, 190:230, 5:30] = 0.5
    seen: list[tuple[int, ...]] = []

    def says(cropped: Tensor) -> Tensor:
        seen.append(tuple(cropped.shape))
        return cropped > 0

    assert torch.equal(predict(Stand(says), image, 0.5), image[:, 0] > 0)
    assert seen == [(2, 1, 64, 32)]
    assert not predict(Stand(says), torch.full((1, 1, 40, 40), -1.0), 0.5).any()


def test_indices_are_evenly_spread() -> None:
    assert spread(np.arange(10) * 2, 4).tolist() == [0, 6, 12, 18]
    assert spread(np.arange(3), 9).tolist() == [0, 1, 2]
    assert spread(np.array([], int), 9).tolist() == []


@pytest.mark.parametrize("setting", [{"slices": 0}, {"threshold": 1.0}, {"target_weight": 2.0}, {"presence": 0.0}])
def test_impossible_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SelectionConfig(**setting)  # type: ignore[arg-type]
