"""Thumbnails: the right slice, the outline where the lesion is, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers.heads import AFFINE, make_head
from PIL import Image

from amd_das.conventions import LINE_RGB
from amd_das.errors import GeometryError
from amd_das.output.thumbnail import SIDE_PX, render_thumbnail, write_thumbnail
from amd_das.volume import Volume


def head() -> tuple[Volume, np.ndarray]:
    hu, blood = make_head()
    return Volume(array=hu.astype(np.float32), affine=AFFINE, case_id="head", source="nifti"), blood


def coloured(image: Image.Image) -> np.ndarray:
    """(H, W) bool, where the outline is."""
    return (np.asarray(image) == LINE_RGB).all(axis=-1)


def test_the_outline_is_on_the_patients_side() -> None:
    volume, blood = head()
    picture = render_thumbnail(volume, blood)
    assert max(picture.size) == SIDE_PX
    columns = np.flatnonzero(coloured(picture).any(axis=0))
    right_half = columns.mean() > picture.width / 2
    patients_left = AFFINE[0, 0] * 10 < 0  # the ball lies towards +i; the patient's left is drawn on the right
    assert right_half == patients_left


def test_without_a_lesion_there_is_no_outline() -> None:
    volume, blood = head()
    assert not coloured(render_thumbnail(volume, np.zeros_like(blood))).any()
    assert not coloured(render_thumbnail(volume)).any()


def test_a_mask_of_another_scan_is_refused() -> None:
    volume, blood = head()
    with pytest.raises(GeometryError, match="draw a mask on its own image"):
        render_thumbnail(volume, blood[1:])


def test_it_is_written_as_png(tmp_path: Path) -> None:
    volume, blood = head()
    with Image.open(write_thumbnail(volume, blood, tmp_path / "one.png")) as picture:
        assert picture.format == "PNG"
        assert coloured(picture).any()
