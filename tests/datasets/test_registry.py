"""Which set a folder is, by its layout alone; and nobody's set for another's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.heads import write_head
from helpers.public_sets import (
    write_bhsd,
    write_brats,
    write_cq500,
    write_ct_ich,
    write_ct_ich_jpg,
    write_flair_pair,
    write_lgg,
    write_pairs,
    write_rsna,
    write_task01,
)

from amd_das.datasets.registry import LAYOUTS, detect, find_cases, layout_named, select
from amd_das.errors import ConfigError, NotFoundError, TrainingError

NONE = [""] * 10
WRITERS: dict[str, Callable[[Path], Path]] = {
    "brats": lambda folder: write_brats(folder, "BraTS2021_00000"),
    "tcga-lgg": write_lgg,
    "decathlon": lambda folder: write_task01(folder, "BRATS_001"),
    "pairs": lambda folder: write_flair_pair(folder, "images/a.nii.gz", "masks/a.nii.gz"),
    "rsna": lambda folder: write_rsna(folder, {"a1b2c": NONE}),
    "cq500": lambda folder: write_cq500(folder, {0: ["CT Plain"]}),
    "ct-ich": lambda folder: write_ct_ich(folder, {49: NONE}),
    "ct-ich-jpg": lambda folder: write_ct_ich_jpg(folder, {49: NONE}),
    "bhsd": lambda folder: write_bhsd(folder, "ID_0237f3c9_ID_40015688b9"),
    "instance22": lambda folder: write_pairs(folder, "data", "label", "001"),
    "hemseg-200": lambda folder: write_pairs(folder, "image", "label", "62ac06d17d"),
    "cts": lambda folder: write_head(folder / "head.nii.gz").parent,
}


def test_every_layout_has_a_fixture() -> None:
    assert set(WRITERS) == {layout.name for layout in LAYOUTS}


@pytest.mark.parametrize("name", WRITERS)
def test_a_set_is_recognised_and_no_other(name: str, tmp_path: Path) -> None:
    folder = WRITERS[name](tmp_path)
    layout = next(layout for layout in LAYOUTS if layout.name == name)
    assert detect(folder, layout.side) is layout
    assert find_cases(folder, layout.side).cases
    if name in ("pairs", "cts"):
        return
    other = "target" if layout.side == "source" else "source"
    with pytest.raises(ConfigError, match=rf"is a {layout.side}, not a {other}; use `prepare {layout.side}`"):
        detect(folder, other)


def test_what_is_asked_for_wrongly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no layout 'brats18'; as source there are: tcga-lgg, decathlon, brats"):
        layout_named("brats18", "source")
    with pytest.raises(NotFoundError, match="is no folder"):
        detect(tmp_path / "none", "source")
    with pytest.raises(NotFoundError, match=r"in a layout that is known\. Expected one of: tcga-lgg: kaggle_3m"):
        detect(tmp_path, "source")
    with pytest.raises(NotFoundError, match="expected label_192/"):
        find_cases(tmp_path / "none", "target", layout="bhsd")
    bhsd = WRITERS["bhsd"](tmp_path / "bhsd")
    with pytest.raises(ConfigError, match="BHSD has masks of its own"):
        find_cases(bhsd, "target", masks=tmp_path)
    with pytest.raises(TrainingError, match="BHSD does not say which kinds"):
        select(find_cases(bhsd, "target"), "iph")
    with pytest.raises(ConfigError, match="no kind of hemorrhage 'ich'"):
        select(find_cases(bhsd, "target"), "ich")  # type: ignore[arg-type]
