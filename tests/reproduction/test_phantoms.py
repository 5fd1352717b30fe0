"""Heads are rendered once, and lent to the pipeline without what it must not see."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import TrainingStopped
from amd_das.reproduction import phantoms
from amd_das.reproduction.presets import preset


def lend(workdir: Path, *, train_on: str = "mri") -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    config = replace(tiny_pipeline(), source_heads=2, target_heads=2, train_on=train_on)  # type: ignore[arg-type]
    phantoms.lend(config, workdir, processes=1, tell=lambda *of: told.append(of), should_stop=lambda: False)
    return told


@pytest.mark.slow
def test_heads_are_rendered_once_and_lent_without_masks_of_the_target(tmp_path: Path) -> None:
    told = lend(tmp_path)
    assert list(dict.fromkeys(told)) == [
        (f"phantom {kind}", number, 2) for kind in ("flair", "ct") for number in range(3)
    ]
    rendered = {path: path.stat().st_mtime_ns for path in (tmp_path / "phantoms").rglob("*.gz")}
    (source,), (target,) = (sorted((tmp_path / "work").glob(f"{name}-*/phantoms")) for name in ("source", "target"))
    assert len(list(source.glob("masks/*glioma*"))) == len(list(source.glob("images/*"))) == 2
    assert len(list(target.glob("images/*"))) == len(list(target.glob("records/*"))) == 2
    assert not (target / "masks").exists()
    lend(tmp_path, train_on="ct")
    (labelled,) = set((tmp_path / "work").glob("target-*/phantoms")) - {target}
    assert len(list(labelled.glob("masks/*iph*"))) == 2
    assert {path: path.stat().st_mtime_ns for path in rendered} == rendered


def test_rendering_stops_when_asked_to(tmp_path: Path) -> None:
    def begun() -> bool:
        return any(tmp_path.glob("images/*"))

    with pytest.raises(TrainingStopped, match="after 1 of 3 phantom heads"):
        phantoms.render(tmp_path, "flair", 5, 3, processes=1, tell=lambda *of: None, should_stop=begun)
    assert len(list(tmp_path.glob("images/*"))) == 1


def test_more_heads_are_scored_where_more_are_learnt_from() -> None:
    assert [phantoms.test_heads(preset(name)) for name in ("smoke", "small", "shipped", "paper")] == [6, 32, 100, 100]
