"""Pseudo-CTs on disk: once each, with labels, dark outside the brain, continued where they were left."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.slice_stores import write_store
from helpers.tiny_synthesis import disc_batch, tiny_config

from amd_das.errors import ConfigError, NotFoundError, TrainingError, TrainingStopped
from amd_das.networks.generator import SharedGenerators
from amd_das.networks.weights import digest
from amd_das.slices import SliceStore, network_image
from amd_das.synthesis.learner import SynthesisLearner
from amd_das.synthesis.translate import trained_generators, translate
from amd_das.training import checkpoints


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    """Two cases of three slices."""
    return disc_store(tmp_path_factory.mktemp("source"), "source", patients=2, slices=3)


@pytest.fixture(scope="module")
def generators() -> SharedGenerators:
    torch.manual_seed(0)
    return SharedGenerators(tiny_config().generator).eval()


def test_all_slices_come_with_their_labels_and_names(source, generators, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = translate(generators, source, np.arange(6), tmp_path, progress=lambda *done: seen.append(done))
    assert store.domain == "pseudo_ct"
    assert np.array_equal(store.labels, source.labels)
    assert np.array_equal(store.lesion_px, source.lesion_px)
    for made, case in zip(store.cases, source.cases, strict=True):
        assert (made.case, made.patient, made.numbers, made.spacing_mm) == (
            case.case,
            case.patient,
            case.numbers,
            case.spacing_mm,
        )
        assert made.provenance["generator"] == digest(generators)
    assert seen == [(3, 6), (6, 6)]


def test_pixels_are_the_generators_within_the_brain_and_zero_outside(source, generators, tmp_path: Path) -> None:
    store = translate(generators, source, np.arange(6), tmp_path, precision="fp32", batch=2)
    expected = ((generators.mri_to_ct(network_image(source.images[4:5])).image[0, 0] + 1) * 127.5).round().detach()
    brain = source.images[4] > 0
    assert np.array_equal(store.images[4], expected.numpy().astype(np.uint8) * brain)
    assert store.images[4].any() and not store.images[:][source.images[:] == 0].any()


def test_a_dark_ventricle_is_brain(generators, tmp_path: Path) -> None:
    source = write_store(tmp_path / "source", "source", count=1, seed=0, labelled=True)
    images = np.array(source.images)
    images[0, 110:120, 110:120] = 0
    (tmp_path / "source" / "images.u8").write_bytes(images.tobytes())
    store = translate(generators, SliceStore.open(tmp_path / "source"), np.arange(1), tmp_path / "made")
    assert (store.images[0, 110:120, 110:120] > 0).all()
    assert store.images[0, 0, 0] == 0


def test_chosen_slices_keep_their_numbers(source, generators, tmp_path: Path) -> None:
    store = translate(generators, source, np.array([5, 1, 3]), tmp_path)
    assert [case.numbers for case in store.cases] == [(1,), (0, 2)]
    assert np.array_equal(store.labels, source.labels[[1, 3, 5]])


def test_a_stopped_translation_goes_on(source, generators, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match="3 of 6 slices"):
        translate(generators, source, np.arange(6), tmp_path / "a", should_stop=lambda: True)
    begun = SliceStore.open(tmp_path / "a")
    assert len(begun) == 3
    resumed = translate(generators, source, np.arange(6), tmp_path / "a")
    whole = translate(generators, source, np.arange(6), tmp_path / "b")
    assert np.array_equal(resumed.images, whole.images)
    assert resumed.digest() == whole.digest()


def test_slices_of_other_generators_are_not_mixed(source, generators, tmp_path: Path) -> None:
    translate(generators, source, np.arange(6), tmp_path)
    torch.manual_seed(1)
    with pytest.raises(ConfigError, match="choose another folder"):
        translate(SharedGenerators(generators.config), source, np.arange(6), tmp_path)
    with pytest.raises(ConfigError, match="choose another folder"):
        translate(generators, source, np.arange(5), tmp_path)


def test_what_cannot_be_translated_is_explained(source, generators, tmp_path: Path) -> None:
    empty = write_store(tmp_path / "empty", "source", count=0, seed=0, labelled=True)
    with pytest.raises(TrainingError, match=r"no slice of .*empty to translate"):
        translate(generators, empty, np.arange(0), tmp_path / "out")
    unlabelled = write_store(tmp_path / "ct", "target", count=1, seed=0, labelled=False)
    with pytest.raises(TrainingError, match="has no labels"):
        translate(generators, unlabelled, np.arange(1), tmp_path / "out")


def test_what_is_saved_is_what_translates(tmp_path: Path) -> None:
    learner = SynthesisLearner(tiny_config())
    for step in range(3):
        learner.step(disc_batch(step), step, 3)
    state = checkpoints.capture(learner) | {"processes": [{"extra": learner.extra_state()}]}
    checkpoints.save(tmp_path / checkpoints.NAME, state)
    found = trained_generators(tmp_path)
    assert found.config == learner.config.generator
    assert digest(found) == digest(learner.averaged) != digest(learner.generators)


def test_a_folder_without_a_training_is_explained(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="train stage 1"):
        trained_generators(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="damaged"):
        trained_generators(tmp_path)
