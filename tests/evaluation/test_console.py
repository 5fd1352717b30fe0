"""`amd-das evaluate` and `amd-das benchmark` as a user calls them."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector
from helpers.labelled_sets import write_set

from amd_das import cli
from amd_das.conventions import RESEARCH_NOTICE


def run(*arguments: object) -> int:
    return cli.main([str(one) for one in arguments])


def test_masks_are_scored_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ref = write_set(tmp_path / "ref", {"a": 4, "b": 4, "c": 0})
    pred = write_set(tmp_path / "model", {"a": 4, "b": 2, "c": 0})
    assert run("evaluate", "--pred", pred, "--ref", ref, "-o", tmp_path / "report") == cli.DONE
    said = capsys.readouterr().out
    assert "model: 2 scans with a bleed, 1 without" in said
    assert f"{(1 + 2 / 3) / 2:.3f}" in said and "2 of 2" in said and RESEARCH_NOTICE in said
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.html",
        "report.json",
        "cases.csv",
        "slices.csv",
    }


def test_models_with_folders_of_one_name_need_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ref = write_set(tmp_path / "ref", {"a": 4})
    one, two = (write_set(tmp_path / name / "masks", {"a": 3}) for name in ("one", "two"))
    call = ["evaluate", "--ref", ref, "-o", tmp_path / "report"]
    assert run(*call, "--pred", one, "--pred", two) == cli.REFUSED
    assert "two predictions are called 'masks'" in capsys.readouterr().err
    assert run(*call, "--pred", f"one={one}", "--pred", f"two={two}") == cli.DONE
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert list(record["models"]) == ["one", "two"] and record["differences"]["two"]["dice"]["mean"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--ref", "nowhere"], "nowhere is no folder"),
        (["--subtypes", "nowhere.csv"], "cannot be read as CSV"),
        (["--images", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], words: str
) -> None:
    masks = write_set(tmp_path / "masks", {"a": 4})
    assert run("evaluate", "--pred", masks, "--ref", masks, "-o", tmp_path / "report", *change) == cli.REFUSED
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def write_heads(folder: Path) -> tuple[Path, Path]:
    """Two heads with blood on either side, and their masks."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for case, bleed_x in (("right", 10.0), ("left", -14.0)):
        hu, blood = make_head(bleed_x=bleed_x)
        nibabel.save(nibabel.Nifti1Image(hu, AFFINE), folder / "images" / f"{case}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(blood.astype(np.uint8), AFFINE), folder / "masks" / f"{case}-iph.nii.gz")
    return folder / "images", folder / "masks"


def test_models_are_compared_on_the_same_scans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, masks = write_heads(tmp_path / "set")
    sees, blind = (save_blood_detector(tmp_path / "models", bias) for bias in (-10.0, -40.0))
    call = ["benchmark", "--model-dir", tmp_path / "models", "--images", images, "--ref", masks]
    assert run(*call, sees.version, tmp_path / "models", "-o", tmp_path / "report", "--device", "cpu") == cli.DONE
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    dice = {name: model["overall"]["measures"]["dice"]["mean"] for name, model in record["models"].items()}
    assert list(dice) == [sees.version, blind.version] and dice[sees.version] > 0.8 and dice[blind.version] == 0
    assert record["checksums"] == {sees.version: sees.checksum, blind.version: blind.checksum}
    assert record["differences"][blind.version]["dice"]["mean"] == pytest.approx(-dice[sees.version], abs=1e-5)
    assert (tmp_path / "report" / "predictions" / sees.version / "left.nii.gz").is_file()
    capsys.readouterr()
    assert run(*call, sees.version, sees.version, "-o", tmp_path / "again") == cli.REFUSED
    assert "name each model once" in capsys.readouterr().err
    assert run(*call, "2020-01-01-nothing", "-o", tmp_path / "again") == cli.REFUSED
    assert f"there are: {min(sees.version, blind.version)}" in capsys.readouterr().err


def test_one_version_can_be_given_as_its_folder(tmp_path: Path) -> None:
    from amd_das.evaluation.benchmark import load_models

    info = save_blood_detector(tmp_path / "models")
    assert list(load_models([str(tmp_path / "models" / "versions" / info.version)], tmp_path / "none")) == [
        info.version
    ]


def test_a_scan_that_cannot_be_segmented_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, masks = write_heads(tmp_path / "set")
    nibabel.save(nibabel.Nifti1Image(np.full((96, 110, 10), -1000, np.int16), AFFINE), images / "left.nii.gz")
    save_blood_detector(tmp_path / "models")
    call = ["benchmark", tmp_path / "models", "--images", images, "--ref", masks, "-o", tmp_path / "report"]
    assert run(*call, "--device", "cpu") == cli.REFUSED
    assert "left cannot be segmented" in capsys.readouterr().err
