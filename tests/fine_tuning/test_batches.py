"""Batches: labelled CT beside pseudo-CT, lesions as asked for, and a pure function of seed and step."""

import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.tiny_fine_tuning import tiny_fine_tuning

from amd_das.errors import TrainingError
from amd_das.fine_tuning.batches import labelled_batches, mixed
from amd_das.segmentation.augment import NONE
from amd_das.slices import SliceStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return disc_store(tmp_path_factory.mktemp("ct") / "s", "source", patients=2, slices=6)


@pytest.fixture(scope="module")
def pseudo(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    return disc_store(tmp_path_factory.mktemp("pseudo") / "s", "source", patients=2, slices=6, contrast=20, noise=0.0)


def test_a_batch_is_the_same_whenever_it_is_made(store: SliceStore, pseudo: SliceStore) -> None:
    config = tiny_fine_tuning()
    one, other = (labelled_batches((store, np.arange(12)), (pseudo, np.arange(12)), config)(5, 4) for _ in range(2))
    assert torch.equal(one.image, other.image) and torch.equal(one.label, other.label)
    assert one.image.shape == one.label.shape == (4, 1, 64, 64)
    assert not torch.equal(one.image, labelled_batches((store, np.arange(12)), None, config)(5, 4).image)


def test_half_of_a_batch_is_pseudo_ct_where_there_is_any(store: SliceStore, pseudo: SliceStore) -> None:
    config = tiny_fine_tuning(augment=NONE, patch=240, pseudo_ct_share=0.5)
    mixed = labelled_batches((store, np.arange(12)), (pseudo, np.arange(12)), config)(0, 4)
    grey = [len((image * 127).round().unique()) for image in mixed.image]
    assert all(count > 15 for count in grey[:2]), "CT is noisy"
    assert all(count <= 4 for count in grey[2:]), "this pseudo-CT is not"
    alone = labelled_batches((store, np.arange(12)), None, config)(0, 4)
    assert all(len((image * 127).round().unique()) > 15 for image in alone.image)


def test_the_held_out_are_never_seen(store: SliceStore) -> None:
    config = tiny_fine_tuning(augment=NONE, patch=240)
    learnt = np.flatnonzero(store.case_index == 0)
    batch_at = labelled_batches((store, learnt), None, config)
    allowed = {bytes(store.images[row]) for row in learnt}
    seen = {
        bytes(((image[0] + 1) * 127.5).round().to(torch.uint8).numpy())
        for step in range(6)
        for image in batch_at(step, 4).image
    }
    assert seen <= allowed and len(seen) == len(learnt)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 500), (0.25, 250), (0.6, 600)])
def test_lesions_come_as_often_as_asked_for(store: SliceStore, share: float, expected: int) -> None:
    rows = mixed(store, np.arange(12), share, (0, 1))(np.arange(1000))
    assert (store.lesion_px[rows] > 0).sum() == pytest.approx(expected, abs=1)
    assert set(rows.tolist()) == set(range(12))
    parts = [mixed(store, np.arange(12), share, (0, 1))(np.arange(start, start + 10)) for start in range(0, 100, 10)]
    assert np.array_equal(np.concatenate(parts), rows[:100])


def test_one_kind_of_slice_is_dealt_as_it_comes(store: SliceStore) -> None:
    clear = np.flatnonzero(store.lesion_px == 0)
    assert sorted(mixed(store, clear, 0.6, (0, 1))(np.arange(len(clear))).tolist()) == clear.tolist()


def test_nothing_to_learn_from_is_an_error(store: SliceStore) -> None:
    with pytest.raises(TrainingError, match="no labelled CT slice is left"):
        labelled_batches((store, np.zeros(0, np.int64)), None, tiny_fine_tuning())


def test_half_of_the_slices_are_those_that_were_wrong(store: SliceStore) -> None:
    config = tiny_fine_tuning(augment=NONE, patch=240, wrong_share=0.5)
    batch_at = labelled_batches((store, np.arange(12)), None, config, wrong=np.array([3, 7]))
    shown = [
        bytes(((image[0] + 1) * 127.5).round().to(torch.uint8).numpy())
        for step in range(5)
        for image in batch_at(step, 4).image
    ]
    wrong = {bytes(store.images[row]) for row in (3, 7)}
    assert sum(image in wrong for image in shown) >= 10
    assert len(set(shown) - wrong) > 5
    without = labelled_batches((store, np.arange(12)), None, config, wrong=np.zeros(0, np.int64))(0, 4)
    assert torch.equal(without.image, labelled_batches((store, np.arange(12)), None, config)(0, 4).image)
