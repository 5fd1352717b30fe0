"""Training patches: stored slices come back as they were, patches are what the network expects."""

from pathlib import Path

import numpy as np
import pytest
import torch

from amd_das.networks.fcn import FcnOutput
from amd_das.segmentation.phantom_slices import PatchConfig, Slices, batches, render_training_case


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cases")
    seed = next(s for s in range(50) if _has_iph(s))
    assert render_training_case(seed, directory) is not None
    return directory


def _has_iph(seed: int) -> bool:
    from amd_das.phantom.anatomy import draw_subject

    rng = np.random.default_rng([seed, 0xC7])
    draw_subject(rng)
    return bool(rng.random() < 0.7)


def test_a_case_is_rendered_once(rendered: Path) -> None:
    (path,) = rendered.glob("*.npz")
    written = path.stat().st_mtime_ns
    assert render_training_case(int(path.stem), rendered) == path
    assert path.stat().st_mtime_ns == written


def test_stored_slices_are_whole(rendered: Path) -> None:
    slices = Slices(rendered)
    assert slices.refresh() == 1
    assert slices.refresh() == 1, "the same file was taken in twice"
    assert len(slices.items) > 5
    for item in slices.items:
        assert item.window.shape == item.brain.shape == item.iph.shape == (240, 240)
        assert not item.stripped[~item.brain].any()
        assert item.brain.any()
    assert slices.with_iph, "a case with a bleed has slices with a bleed"
    assert all(slices.items[number].iph.any() for number in slices.with_iph)


def test_patches_are_what_the_network_expects(rendered: Path) -> None:
    slices = Slices(rendered)
    slices.refresh()
    stream = batches(slices, PatchConfig(batch=8, lesion_share=1.0), 64, np.random.default_rng(0))
    image, label = next(stream)
    assert image.shape == label.shape == (8, 1, 64, 64)
    assert image.dtype == label.dtype == torch.float32
    assert image.min() >= -1
    assert image.max() <= 1
    assert set(label.unique().tolist()) == {0.0, 1.0}
    larger, _ = stream.send(96)
    assert larger.shape[-1] == 96


def test_blood_stays_under_its_label_through_the_warps(rendered: Path) -> None:
    slices = Slices(rendered)
    slices.refresh()
    stream = batches(slices, PatchConfig(batch=32, lesion_share=1.0), 96, np.random.default_rng(1))
    image, label = next(stream)
    brain = (image > -0.9) & (label == 0)
    assert image[label == 1].mean() > image[brain].mean()


def test_the_same_seed_deals_the_same_patches(rendered: Path) -> None:
    slices = Slices(rendered)
    slices.refresh()
    first, again = (next(batches(slices, PatchConfig(batch=4), 64, np.random.default_rng(3)))[0] for _ in range(2))
    assert torch.equal(first, again)


class Thresholding(torch.nn.Module):
    """Finds what is brighter than a value in [-1, 1]."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.above = above

    def forward(self, image: torch.Tensor) -> FcnOutput:
        return FcnOutput(logits=(image.float() - self.above) * 10, features=image)


def test_only_slices_that_a_network_fails_on_are_drawn_more_often(rendered: Path) -> None:
    slices = Slices(rendered)
    slices.refresh()
    bleeding = {n for n, item in enumerate(slices.items) if item.iph.sum() >= 12}
    without = {n for n, item in enumerate(slices.items) if not item.iph.any()}
    assert slices.emphasise_failures(Thresholding(2.0)) == len(bleeding), "blind: it fails where there is blood"
    assert {n for n in bleeding if slices.with_iph.count(n) >= 4} == bleeding
    before = len(slices.with_other)
    assert slices.emphasise_failures(Thresholding(-0.9)) == len(bleeding | without), "sees blood in every brain"
    assert len(slices.with_other) == before + 3 * len(without)
