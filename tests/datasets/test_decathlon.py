"""Task01_BrainTumour: the channel by its name, and what is missing."""

from pathlib import Path

import numpy as np
import pytest
from helpers.flairs import make_flair, save
from helpers.public_sets import write_task01

from amd_das.datasets import find_cases
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import ConfigError, GeometryError, TrainingError


def test_flair_and_the_whole_tumour_are_read(tmp_path: Path) -> None:
    data = find_cases(write_task01(tmp_path, "BRATS_001", "BRATS_002"), "source")
    assert data.summary().startswith("decathlon: Medical Segmentation Decathlon, Task01_BrainTumour, 2 cases")
    assert (data.found.problems, data.found.notes) == ((), ("FLAIR is channel 0",))
    first = data.cases[0]
    image, mask = make_flair()
    volume = read_image(first)
    np.testing.assert_array_equal(volume.array, image)
    np.testing.assert_array_equal(read_mask(first, volume), mask > 0)
    assert (first.case, first.patient, first.lesion, first.provenance) == (
        "BRATS_001",
        "BRATS_001",
        "glioma",
        {"set": "decathlon"},
    )


def test_the_channel_is_the_one_called_flair(tmp_path: Path) -> None:
    order = {"0": "T1w", "1": "FLAIR", "2": "t1gd", "3": "T2w"}
    (case,) = find_cases(write_task01(tmp_path / "Task01", "a", modality=order).parent, "source").cases
    assert case.channel == 1
    assert read_image(case).array.min() == 7000  # what the fixture has as second channel
    write_task01(tmp_path / "Task02", "a", modality={"0": "MRI"})
    with pytest.raises(ConfigError, match=r"names no FLAIR among its channels \(MRI\)"):
        find_cases(tmp_path / "Task02", "source", layout="decathlon")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write_task01(tmp_path, "a", "b", listed=["c"])
    (tmp_path / "labelsTr" / "a.nii.gz").rename(tmp_path / "labelsTr" / "z.nii.gz")
    data = find_cases(tmp_path, "source")
    assert [case.case for case in data.cases] == ["b"]
    assert data.found.problems == (
        "1 label(s) without an image: z; complete the download",
        "1 image(s) without a label: a; complete the download",
        "1 of 3 images that dataset.json lists are missing: c",
    )
    (tmp_path / "labelsTr" / "b.nii.gz").unlink()
    with pytest.raises(TrainingError, match=r"no image in .* has a label"):
        find_cases(tmp_path, "source")
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ConfigError, match=r"dataset\.json cannot be read"):
        find_cases(tmp_path, "source")


def test_an_image_without_its_channels_is_refused(tmp_path: Path) -> None:
    order = {"0": "T1w", "1": "FLAIR"}
    (case,) = find_cases(write_task01(tmp_path, "a", modality=order), "source").cases
    save(make_flair()[0], case.image)
    with pytest.raises(GeometryError, match=r"holds 1 channel\(s\); expected FLAIR as number 1"):
        read_image(case)
