"""Model versions: what is saved is what is loaded, and anything damaged is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from amd_das import models
from amd_das.errors import ModelError, NotFoundError
from amd_das.networks.fcn import Fcn, FcnConfig

TINY = FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4)


def tiny_network(seed: int = 0) -> Fcn:
    torch.manual_seed(seed)
    return Fcn(TINY).eval()


def save(directory: Path, seed: int = 0, **options: bool) -> models.ModelInfo:
    return models.save_version(directory, tiny_network(seed), training={"seed": seed}, metrics={}, card="c", **options)


def test_a_saved_version_loads_with_the_same_outputs_to_half_precision(tmp_path: Path) -> None:
    info = save(tmp_path)
    loaded = models.load_current(tmp_path)
    assert loaded.info == info
    assert loaded.info.training == {"seed": 0}
    assert not loaded.network.training
    image = torch.rand(1, 1, 40, 56) * 2 - 1
    with torch.no_grad():
        expected, got = tiny_network()(image).logits, loaded.network(image).logits
    assert torch.allclose(expected, got, atol=2e-2)
    assert got.dtype == torch.float32


def test_versions_are_listed_and_switched(tmp_path: Path) -> None:
    first, second = save(tmp_path, seed=1), save(tmp_path, seed=2)
    assert set(models.list_versions(tmp_path)) == {first.version, second.version}
    assert models.current_version(tmp_path) == second.version
    models.use_version(tmp_path, first.version)
    assert models.load_current(tmp_path).info.checksum == first.checksum


def test_a_version_can_be_kept_without_being_used(tmp_path: Path) -> None:
    first = save(tmp_path, seed=1)
    save(tmp_path, seed=2, make_current=False)
    assert models.current_version(tmp_path) == first.version


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    info = save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "versions"]
    assert [path.name for path in (tmp_path / "versions").iterdir()] == [info.version]


def test_no_model_is_an_error_not_random_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="restore the shipped weights or train"):
        models.load_current(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    info = save(tmp_path)
    path = tmp_path / "versions" / info.version / models.WEIGHTS
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="SHA-256"):
        models.load_current(tmp_path)


@pytest.mark.parametrize("name", [models.WEIGHTS, models.RECORD])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    info = save(tmp_path)
    (tmp_path / "versions" / info.version / name).unlink()
    with pytest.raises(ModelError, match=name):
        models.load_current(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    info = save(tmp_path)
    path = tmp_path / "versions" / info.version / models.RECORD
    record = json.loads(path.read_text())
    record["network"]["decoder_tail"] = 8
    path.write_text(json.dumps(record))
    with pytest.raises(ModelError, match="do not fit"):
        models.load_current(tmp_path)


@pytest.mark.parametrize("version", ["nothing-here", "../outside", "", "."])
def test_an_unknown_version_cannot_be_used(tmp_path: Path, version: str) -> None:
    save(tmp_path)
    with pytest.raises(NotFoundError):
        models.use_version(tmp_path, version)


def test_a_folder_of_an_impossible_name_is_not_put_to_use(tmp_path: Path) -> None:
    first = save(tmp_path)
    shutil.copytree(tmp_path / "versions" / first.version, tmp_path / "versions" / "my version")
    with pytest.raises(NotFoundError, match="no name of a version"):
        models.use_version(tmp_path, "my version")
    assert models.current_version(tmp_path) == first.version


def test_current_must_name_a_version(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / models.CURRENT).write_text("../../etc\n")
    with pytest.raises(ModelError, match="should name a version"):
        models.load_current(tmp_path)


def test_a_version_out_of_use_can_be_removed_and_the_one_in_use_cannot(tmp_path: Path) -> None:
    first, second = save(tmp_path, seed=1), save(tmp_path, seed=2)
    with pytest.raises(ModelError, match="in use"):
        models.remove_version(tmp_path, second.version)
    models.remove_version(tmp_path, first.version)
    assert models.list_versions(tmp_path) == [second.version]
    assert [path.name for path in (tmp_path / "versions").iterdir()] == [second.version]
    with pytest.raises(NotFoundError, match=second.version):
        models.remove_version(tmp_path, first.version)


def test_the_record_can_be_read_without_the_weights(tmp_path: Path) -> None:
    info = save(tmp_path)
    (tmp_path / "versions" / info.version / models.WEIGHTS).unlink()
    assert models.read_info(tmp_path, info.version) == info
