"""Batches of both domains: a pure function of the step, each slice once an epoch, no patient on both sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store

from amd_das.errors import ConfigError, TrainingError
from amd_das.segmentation.augment import NONE, RICH
from amd_das.segmentation.batches import BatchConfig, adaptation_batches, split_patients
from amd_das.slices import SliceStore, network_image, network_label

PLAIN = BatchConfig(augment=NONE)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[SliceStore, SliceStore]:
    folder = tmp_path_factory.mktemp("stores")
    source = disc_store(folder / "source", "pseudo_ct", patients=5, cases=2, slices=4)
    return source, disc_store(folder / "target", "target", patients=3, slices=5, seed=1)


def every(store: SliceStore) -> np.ndarray:
    return np.arange(len(store))


def which(images: torch.Tensor, store: SliceStore) -> list[int]:
    """Which slice of the store each image is."""
    known = {bytes(image.numpy().tobytes()): number for number, image in enumerate(network_image(store.images))}
    return [known[image.numpy().tobytes()] for image in images]


def test_a_batch_depends_on_step_and_seed_alone(stores: tuple[SliceStore, SliceStore]) -> None:
    config = BatchConfig(augment=RICH, augment_target=True, lesion_share=0.5, patches=((0, 48),))
    forwards = adaptation_batches(*stores, every(stores[0]), config, 3)
    backwards = adaptation_batches(*stores, every(stores[0]), config, 3)
    first = [forwards(step, 3) for step in range(6)]
    second = [backwards(step, 3) for step in reversed(range(6))][::-1]
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(first[0].image, first[1].image)
    assert not torch.equal(first[0].target, adaptation_batches(*stores, every(stores[0]), config, 4)(0, 3).target)


def test_every_slice_is_dealt_once_an_epoch_and_the_shorter_domain_begins_again(
    stores: tuple[SliceStore, SliceStore],
) -> None:
    source, target = stores
    batch_at = adaptation_batches(source, target, every(source), PLAIN, 0)
    batches = [batch_at(step, 8) for step in range(10)]
    sources = [number for batch in batches for number in which(batch.image, source)]
    assert sorted(sources[:40]) == sorted(sources[40:]) == list(range(40))
    assert sources[:40] != sources[40:]
    targets = [number for batch in batches for number in which(batch.target, target)]
    assert all(sorted(targets[start : start + 15]) == list(range(15)) for start in range(0, 75, 15))


def test_labels_belong_to_their_images(stores: tuple[SliceStore, SliceStore]) -> None:
    source, target = stores
    batch = adaptation_batches(source, target, every(source), PLAIN, 0)(1, 6)
    assert source.labels is not None
    assert torch.equal(batch.label, network_label(source.labels[which(batch.image, source)]))
    assert batch.image.shape == batch.label.shape == batch.target.shape == (6, 1, 240, 240)


def test_only_the_given_slices_are_dealt(stores: tuple[SliceStore, SliceStore]) -> None:
    source, target = stores
    batch_at = adaptation_batches(source, target, np.array([3, 7]), PLAIN, 0, target_indices=np.array([2]))
    batch = batch_at(5, 4)
    assert set(which(batch.image, source)) == {3, 7}
    assert set(which(batch.target, target)) == {2}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.65, 1.0])
def test_the_share_of_lesions_is_as_asked_for(stores: tuple[SliceStore, SliceStore], share: float) -> None:
    source, target = stores
    batch_at = adaptation_batches(source, target, every(source), replace(PLAIN, lesion_share=share), 0)
    shown = np.array([label.any() for step in range(10) for label in batch_at(step, 8).label])
    assert abs(shown.sum() - 80 * share) <= 1
    assert all(abs(part.sum() - 8 * share) <= 1 for part in shown.reshape(10, 8))


def test_the_target_is_changed_only_on_request(stores: tuple[SliceStore, SliceStore]) -> None:
    source, target = stores
    config = BatchConfig(augment=RICH)
    kept = adaptation_batches(source, target, every(source), config, 0)(0, 2)
    changed = adaptation_batches(source, target, every(source), replace(config, augment_target=True), 0)(0, 2)
    assert len(which(kept.target, target)) == 2
    assert torch.equal(kept.image, changed.image)
    assert not torch.equal(kept.target, changed.target)


def test_patches_grow_at_their_step(stores: tuple[SliceStore, SliceStore]) -> None:
    config = BatchConfig(patches=((0, 32), (4, 64)))
    batch_at = adaptation_batches(*stores, every(stores[0]), config, 0)
    assert [batch_at(step, 1).target.shape[-1] for step in (0, 3, 4, 9)] == [32, 32, 64, 64]


def test_no_patient_is_on_both_sides(stores: tuple[SliceStore, SliceStore]) -> None:
    store = stores[0]
    training, validation = split_patients(store, 0.4, 0)
    patients = np.array([store.cases[number].patient for number in store.case_index])
    assert sorted([*training, *validation]) == list(range(len(store)))
    assert len(set(patients[validation])) == 2
    assert not set(patients[training]) & set(patients[validation])
    assert any(not np.array_equal(validation, split_patients(store, 0.4, seed)[1]) for seed in range(1, 5)), (
        "the seed decides who is held out"
    )


def test_a_small_share_still_holds_a_patient_out_and_none_holds_nobody(stores: tuple[SliceStore, SliceStore]) -> None:
    assert len(split_patients(stores[0], 0.01, 0)[1]) == 8
    assert len(split_patients(stores[0], 0.0, 0)[1]) == 0


def test_what_cannot_be_learnt_from_is_refused(stores: tuple[SliceStore, SliceStore], tmp_path: Path) -> None:
    source, target = stores
    with pytest.raises(TrainingError, match="no labels"):
        adaptation_batches(target, target, every(target), PLAIN, 0)
    with pytest.raises(TrainingError, match="no source slice"):
        adaptation_batches(source, target, np.array([], int), PLAIN, 0)
    with pytest.raises(TrainingError, match="no target slice"):
        adaptation_batches(source, target, every(source), PLAIN, 0, target_indices=np.array([], int))
    healthy = np.flatnonzero(source.lesion_px == 0)
    with pytest.raises(TrainingError, match="shows a lesion"):
        adaptation_batches(source, target, healthy, replace(PLAIN, lesion_share=0.5), 0)
    with pytest.raises(TrainingError, match="at least 2"):
        split_patients(disc_store(tmp_path / "one", "target", patients=1), 0.2, 0)


@pytest.mark.parametrize("setting", [{"lesion_share": 1.5}, {"patches": ((1, 64),)}, {"patches": ((0, 64), (0, 32))}])
def test_impossible_settings_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        BatchConfig(**setting)  # type: ignore[arg-type]
