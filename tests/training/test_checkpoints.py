"""The file a training continues from."""

import resource
from pathlib import Path

import pytest
import torch
from helpers.tiny_learner import TinyLearner, tiny_learner
from torch import nn

from amd_das.errors import TrainingError
from amd_das.training import checkpoints


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / checkpoints.NAME


def big(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((1_000_000,), value)}


def test_a_checkpoint_comes_back_and_holds_no_code(path: Path) -> None:
    learner = tiny_learner()
    checkpoints.save(path, checkpoints.capture(learner))
    other = tiny_learner()
    nn.init.zeros_(other.network[0].weight)
    checkpoints.restore(other, checkpoints.load(path), path)
    assert torch.equal(other.network[0].weight, learner.network[0].weight)
    assert torch.load(path, weights_only=True)["format"] == checkpoints.FORMAT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_checkpoint(path: Path) -> None:
    checkpoints.save(path, big(1.0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"needs 4 MB, .* MB are free; the last checkpoint is intact"):
            checkpoints.save(path, big(2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoints.load(path)["weights"][0] == 1.0
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_crash_while_writing_leaves_the_old_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.save(path, big(1.0))

    def crash(state: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", crash)
        checkpoints.save(path, big(2.0))
    assert checkpoints.load(path)["weights"][0] == 1.0
    checkpoints.save(path, big(3.0))
    assert checkpoints.load(path)["weights"][0] == 3.0


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text"])
def test_a_damaged_file_is_called_damaged(path: Path, damage: str) -> None:
    checkpoints.save(path, big(1.0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:-1000], "flipped": bytes(content), "text": b"hello"}[damage])
    with pytest.raises(TrainingError, match=r"damaged .*delete it"):
        checkpoints.load(path)


def test_another_file_is_no_checkpoint(path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(TrainingError, match="no checkpoint of the format"):
        checkpoints.load(path)


def test_a_checkpoint_of_another_learner_is_refused(path: Path) -> None:
    state = checkpoints.capture(tiny_learner())
    with pytest.raises(TrainingError, match=r"another training .*other with.*choose another folder"):
        checkpoints.restore(tiny_learner(), state | {"learner": "other"}, path)


def test_a_checkpoint_of_other_shapes_is_refused(path: Path) -> None:
    class Wider(TinyLearner):
        def __init__(self) -> None:
            super().__init__()
            self.modules = {"network": nn.Conv2d(1, 8, 3), "average": self.average}

    with pytest.raises(TrainingError, match=r"another training .*choose another folder"):
        checkpoints.restore(Wider(), checkpoints.capture(tiny_learner()), path)


def test_weights_that_are_not_finite_are_found() -> None:
    learner = tiny_learner()
    assert checkpoints.finite(learner)
    with torch.no_grad():
        learner.network[2].bias[0] = float("inf")
    assert not checkpoints.finite(learner)
