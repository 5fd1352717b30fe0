"""`amd-das prepare` and `amd-das datasets` on public sets in small, as a user runs them."""

from functools import partial
from pathlib import Path

import pytest
from helpers.flairs import make_flair, save
from helpers.public_sets import write_bhsd, write_pairs, write_rsna, write_task01

from amd_das import cli
from amd_das.slices import SliceStore
from amd_das.slices.cases import PrepareConfig

BLEED = ["", "", "", "", "intraparenchymal", "intraparenchymal", "", "", "", ""]
FEW = ["--least-brain", "100", "--processes", "1"]


@pytest.fixture(autouse=True)
def few_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slices of two or three small heads are enough here."""
    monkeypatch.setattr("amd_das.pipeline.preparation.PrepareConfig", partial(PrepareConfig, least_slices=1))


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_a_source_is_recognised_and_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_task01(tmp_path / "Task01_BrainTumour", "BRATS_001", "BRATS_002", "BRATS_003")
    (folder / "labelsTr" / "BRATS_003.nii.gz").unlink()
    assert run("prepare", "source", folder, "-o", tmp_path / "s", "--slices", "40-119", *FEW) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [
        "decathlon: Medical Segmentation Decathlon, Task01_BrainTumour, 2 cases of 2 patients, 2 with a mask",
        "FLAIR is channel 0",
    ]
    assert "error: 1 image(s) without a label: BRATS_003; complete the download" in err
    store = SliceStore.open(tmp_path / "s")
    assert (len(store.cases), store.config["source_slices"], store.config["least_brain_px"]) == (2, [40, 119], 100)


def test_iph_slices_of_a_target_are_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = {f"{number}1b2c": BLEED if number else [""] * 10 for number in range(4)}
    folder = write_rsna(tmp_path / "rsna", series)
    assert run("prepare", "target", folder, "-o", tmp_path / "t", "--label", "iph", *FEW) == 0
    assert "3 cases (3 new), 6 slices in" in capsys.readouterr().out
    store = SliceStore.open(tmp_path / "t")
    assert (store.labels, store.config["subtype"]) == (None, "iph")
    assert {case.numbers for case in store.cases} == {(4, 5)}
    assert run("prepare", "target", folder, "-o", tmp_path / "u", "--label", "sdh", *FEW) == 2
    assert "nothing is selected: none of 4 cases shows SDH" in capsys.readouterr().err


def test_masks_are_taken_only_where_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bhsd(tmp_path / "bhsd", *(f"ID_{number}2_ID_4000000000" for number in range(3)))
    assert run("prepare", "target", folder, "-o", tmp_path / "t", *FEW) == 0
    assert SliceStore.open(tmp_path / "t").labels is None
    assert run("prepare", "target", folder, "-o", tmp_path / "l", "--labelled", *FEW) == 0
    assert SliceStore.open(tmp_path / "l").labels is not None
    instance = write_pairs(tmp_path / "instance", "data", "label", "001", "002", "003")
    capsys.readouterr()
    assert run("prepare", "target", instance, "-o", tmp_path / "i", "--lesion", "iph", *FEW) == 2
    assert "Use --lesion any, and do not compare the result with IPH" in capsys.readouterr().err
    assert run("prepare", "target", instance, "-o", tmp_path / "i", "--lesion", "any", *FEW) == 0
    assert SliceStore.open(tmp_path / "i").config["lesion"] == "any"
    rsna = write_rsna(tmp_path / "rsna", {"a1b2c": BLEED})
    assert run("prepare", "target", rsna, "-o", tmp_path / "r", "--labelled", *FEW) == 2
    assert "comes without masks" in capsys.readouterr().err


def test_data_sets_are_listed_checked_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("datasets") == 0
    listed = capsys.readouterr().out
    for name in ("decathlon (source)", "rsna (target)", "instance22 (target)", "terms: CC BY-SA 4.0, http"):
        assert name in listed
    folder = write_bhsd(tmp_path / "bhsd", "ID_02_ID_4000000000")
    assert run("datasets", "check", folder) == 0
    assert capsys.readouterr().out == "bhsd: BHSD, 1 case of 1 patient, 1 with a mask\n"
    assert run("datasets", "export", folder, "-o", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cases.csv", "images", "masks"]
    assert run("datasets", "export", folder) == 2
    assert run("datasets", "check") == 2
    assert run("datasets", "check", folder, "--layout", "brats18") == 2
    assert run("datasets", "check", tmp_path / "none") == 2


def test_a_wrong_side_or_a_wrong_range_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bhsd(tmp_path / "bhsd", "ID_02_ID_4000000000")
    assert run("prepare", "source", folder, "-o", tmp_path / "s") == 2
    assert "BHSD is a target, not a source; use `prepare target`" in capsys.readouterr().err
    assert run("prepare", "target", folder, "-o", tmp_path / "s", "--official-split") == 2
    assert "comes without a division into parts" in capsys.readouterr().err
    assert run("prepare", "source", "http://127.0.0.1:9/dicom-web", "-o", tmp_path / "s") == 2
    assert "read from a folder, not from a PACS" in capsys.readouterr().err
    assert run("prepare", "target", "http://127.0.0.1:9/dicom-web", "-o", tmp_path / "s", "--labelled") == 2
    assert "a PACS has no layout" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("prepare", "source", folder, "-o", tmp_path / "s", "--slices", "60")
    assert "expected FIRST-LAST" in capsys.readouterr().err
    save(make_flair()[0], tmp_path / "scan" / "a.nii.gz")
    assert run("datasets", "check", tmp_path / "scan") == 0
