"""What TensorBoard is given."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_learner import TINY, tiny_batch, tiny_learner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from amd_das.errors import TrainingStopped
from amd_das.training import history
from amd_das.training.board import FOLDER, grid
from amd_das.training.engine import fit


def events(workdir: Path) -> EventAccumulator:
    return EventAccumulator(str(workdir / FOLDER), size_guidance={"images": 0, "scalars": 0}).Reload()


def test_losses_validation_and_pictures_are_shown(tmp_path: Path) -> None:
    fit(tiny_learner(), tiny_batch, TINY, tmp_path, validate=lambda: {"dice": 0.5})
    shown = events(tmp_path)
    noted = [entry for entry in history.read(tmp_path) if "losses" in entry]
    assert [(event.step, event.value) for event in shown.Scalars("loss/loss")] == [
        (entry["step"], pytest.approx(entry["losses"]["loss"])) for entry in noted
    ]
    assert [(event.step, event.value) for event in shown.Scalars("validation/dice")] == [(12, 0.5)]
    pictures = shown.Images("pictures/image-found")
    assert [picture.step for picture in pictures] == [6, 12]
    pixels = np.asarray(Image.open(io.BytesIO(pictures[0].encoded_image_string)).convert("L"))
    assert pixels.shape == (4 * 8, 2 * 8)
    image = tiny_batch(5, 4).image.reshape(32, 8).numpy()
    assert np.abs(pixels[:, :8] - 255 * image).max() <= 1


def test_a_continued_training_shows_every_step_once(tmp_path: Path) -> None:
    answers = iter([False] * 6)
    with pytest.raises(TrainingStopped):
        fit(tiny_learner(), tiny_batch, TINY, tmp_path, should_stop=lambda: next(answers, True))
    fit(tiny_learner(), tiny_batch, TINY, tmp_path)
    assert [event.step for event in events(tmp_path).Scalars("loss/loss")] == [3, 6, 9, 12]


def test_pictures_can_be_left_out(tmp_path: Path) -> None:
    fit(tiny_learner(), tiny_batch, replace(TINY, steps=3, picture_steps=0), tmp_path)
    assert events(tmp_path).Tags()["images"] == []


def test_a_grid_has_a_row_per_case_and_a_column_per_picture() -> None:
    mri, ct = torch.full((2, 1, 3, 5), 0.25), torch.full((2, 1, 3, 5), 7.0, dtype=torch.bfloat16)
    mri[1] = 0.5
    laid = grid({"mri": mri, "pseudo_ct": torch.cat([ct, ct])})
    assert laid.shape == (1, 6, 10)
    assert laid[0, 0].tolist() == 5 * [0.25] + 5 * [1.0]
    assert laid[0, 5].tolist() == 5 * [0.5] + 5 * [1.0]
