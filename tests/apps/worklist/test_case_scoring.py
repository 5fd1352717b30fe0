"""Scoring one scan: its numbers, its picture, and what is noted where MONAI Label's clients look."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector, write_head
from monailabel.interfaces.exception import ImageNotFoundException

from amd_das.active_learning.opinion import Interrupted
from amd_das.inference import Predictor
from amd_das.models import load_current
from amd_das.reading import ReadingConfig
from amd_das_app.worklist.case_scoring import Scored, leave_notes, score_scan
from amd_das_app.worklist.scores import CaseScore


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("model")
    save_blood_detector(folder)
    return Predictor(load_current(folder), device="cpu")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_head(tmp_path_factory.mktemp("studies") / "head.nii.gz")


def scored(head: Path, predictor: Predictor, label: str = "", give_way: Any = lambda: None) -> Scored:
    return score_scan(head, lambda: label, predictor, ReadingConfig(), give_way)


def write_label(path: Path, mask: np.ndarray) -> str:
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), AFFINE), path)
    return str(path)


def test_a_scan_without_label(head: Path, predictor: Predictor) -> None:
    found = scored(head, predictor)
    assert found.values["volume_ml"] > 1
    assert found.values["lesions"] == 1
    assert found.thumbnail.startswith(b"\x89PNG")
    assert "dice" not in found.values


def test_a_final_label_is_compared(head: Path, predictor: Predictor, tmp_path: Path) -> None:
    found = scored(head, predictor, write_label(tmp_path / "label.nii.gz", make_head()[1])).values
    assert found["dice"] > 0.85
    assert found["hd95_mm"] < 10
    assert found["label_ml"] == pytest.approx(make_head()[1].sum() * abs(np.linalg.det(AFFINE[:3, :3])) / 1000)


def test_an_empty_label_has_no_surface(head: Path, predictor: Predictor, tmp_path: Path) -> None:
    found = scored(head, predictor, write_label(tmp_path / "label.nii.gz", np.zeros(make_head()[1].shape))).values
    assert (found["dice"], found["hd95_mm"], found["label_ml"]) == (0.0, None, 0.0)


def test_a_label_of_another_shape_is_told_and_the_scan_scored(head: Path, predictor: Predictor, tmp_path: Path) -> None:
    found = scored(head, predictor, write_label(tmp_path / "label.nii.gz", np.zeros((5, 6, 7)))).values
    assert found["volume_ml"] > 1
    assert "(5, 6, 7)" in found["error"]
    assert "dice" not in found


def test_it_gives_way_at_every_step(head: Path, predictor: Predictor) -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    scored(head, predictor, give_way=count)
    assert steps >= 4

    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        scored(head, predictor, give_way=stop)


class Notes:
    """What is noted, as a datastore."""

    def __init__(self) -> None:
        self.image: dict[str, Any] = {}
        self.label: dict[str, Any] = {}

    def update_image_info(self, image: str, info: dict[str, Any]) -> None:
        if image == "gone":
            raise ImageNotFoundException("gone")
        self.image |= info

    def update_label_info(self, image: str, tag: str, info: dict[str, Any]) -> None:
        assert tag == "final"
        self.label |= info


def test_notes_on_a_scan_and_its_label() -> None:
    notes = Notes()
    score = CaseScore(image="a", version="v1", image_stamp="s", volume_ml=4.00004, lesions=1, label_ml=5.0, dice=0.8)
    leave_notes(notes, score)  # type: ignore[arg-type]
    assert notes.image == {"amd_das": {"model": "v1", "volume_ml": 4.0, "lesions": 1}}
    assert notes.label == {
        "dice_volume": {"model": "v1", "dice": 0.8, "volume_error_ml": -1.0, "label_ml": 5.0, "volume_ml": 4.0}
    }


def test_without_label_only_the_scan_has_notes_and_a_scan_that_is_gone_has_none() -> None:
    notes = Notes()
    leave_notes(notes, CaseScore(image="a", version="v1", image_stamp="s", error="no head"))  # type: ignore[arg-type]
    leave_notes(notes, CaseScore(image="gone", version="v1", image_stamp="s"))  # type: ignore[arg-type]
    assert notes.image == {"amd_das": {"model": "v1", "error": "no head"}}
    assert notes.label == {}
