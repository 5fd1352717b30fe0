"""An opinion: the same mask as segmenting, sure of what looks the same from both sides."""

from pathlib import Path

import numpy as np
import pytest
from helpers.heads import make_head, save_blood_detector, write_head

from amd_das.active_learning import Opinion, form_opinion
from amd_das.active_learning.opinion import uncertainty
from amd_das.errors import NotHeadCtError
from amd_das.inference import Predictor
from amd_das.models import load_current
from amd_das.reading import read_volume


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("model")
    save_blood_detector(folder)
    return Predictor(load_current(folder), device="cpu")


def opinion_of(folder: Path, predictor: Predictor, **options: float) -> Opinion:
    return form_opinion(read_volume(write_head(folder / "head.nii.gz", **options)), predictor)


def test_the_mask_is_what_segmenting_gives(tmp_path: Path, predictor: Predictor) -> None:
    volume = read_volume(write_head(tmp_path / "head.nii.gz", bleed_x=10))
    assert np.array_equal(form_opinion(volume, predictor).mask, predictor.segment(volume).mask)


def test_numbers_are_parts_and_repeat(tmp_path: Path, predictor: Predictor) -> None:
    first, second = (opinion_of(tmp_path, predictor, bleed_x=10) for _ in range(2))
    assert 0.0 <= first.entropy <= 1.0
    assert 0.9 < first.flip_consistency <= 1.0, "this detector looks at single pixels"
    assert 0.0 <= first.uncertainty <= 1.0
    assert first.uncertainty == second.uncertainty
    assert np.array_equal(first.fingerprint, second.fingerprint)


@pytest.mark.parametrize(
    ("entropy", "consistency", "expected"), [(0, 1, 0), (1, 0, 1), (0.5, 1, 0.5 / 17), (0, 0.5, 8 / 17)]
)
def test_inconsistency_weighs_more_than_entropy(entropy: float, consistency: float, expected: float) -> None:
    assert uncertainty(entropy, consistency) == pytest.approx(expected)


def test_what_is_no_head_is_refused(tmp_path: Path, predictor: Predictor) -> None:
    hu, _ = make_head()
    volume = read_volume(write_head(tmp_path / "head.nii.gz"))
    object.__setattr__(volume, "array", np.zeros_like(hu, dtype=np.float32))
    with pytest.raises(NotHeadCtError):
        form_opinion(volume, predictor)
