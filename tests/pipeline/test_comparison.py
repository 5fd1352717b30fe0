"""A training that went on from the model in use takes its place only if it has not forgotten."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.heads import save_blood_detector

from amd_das import models
from amd_das.errors import ConfigError, TrainingStopped
from amd_das.pipeline.config import ComparisonConfig, PipelineConfig
from amd_das.pipeline.run import run
from amd_das.pipeline.stages import PHANTOMS
from amd_das.pipeline.steps import PipelineProgress

stage = importlib.import_module("amd_das.pipeline.stages.comparison")  # the package has a function of that name

pytestmark = pytest.mark.usefixtures("small_phantoms")


@pytest.fixture
def model(tmp_path: Path) -> models.ModelInfo:
    """In use: a network that finds blood."""
    return save_blood_detector(tmp_path / "model")


def going_on(config: PipelineConfig, learning_rate: float) -> PipelineConfig:
    """From the model in use on; at a high rate its weights, set by hand, are lost."""
    last = replace(config.self_training[0], learning_rate=learning_rate, average=0.0)
    return replace(
        config, name="on", starts_from="published", self_training=(last,), comparison=ComparisonConfig(heads=4)
    )


def test_what_is_not_worse_is_put_to_use(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path, model: models.ModelInfo
) -> None:
    config = going_on(tiny_config, 1e-7)
    result = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert not result.kept
    assert list(result.steps) == ["target", "self_training_1", "comparison", "publication"]
    info = models.load_current(tmp_path / "model").info
    assert info.version == result.version
    assert info.metrics["published"] is True and info.metrics["champion"] == {"version": model.version}
    assert (info.metrics["phantom_bleeds"], info.metrics["phantom_without"]) == (3, 1)
    assert info.metrics["champion_mean_dice"] > 0.8
    assert not (result.steps["comparison"].folder / PHANTOMS).exists()

    again = run(config, tmp_path / "other", tmp_path / "model", target=target, processes=1)
    assert again.steps["comparison"].key != result.steps["comparison"].key, "another champion"


def test_what_has_forgotten_is_kept_beside_the_one_in_use(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path, model: models.ModelInfo
) -> None:
    config = going_on(tiny_config, 10.0)
    result = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert result.kept.startswith("worse on 3 phantom bleed(s) and 1 scan(s) without: ")
    assert models.current_version(tmp_path / "model") == model.version
    assert result.version in models.list_versions(tmp_path / "model")
    info = models.read_info(tmp_path / "model", str(result.version))
    assert (info.metrics["published"], info.metrics["reason"]) == (False, result.kept)
    card = (tmp_path / "model" / "versions" / info.version / models.CARD).read_text()
    assert f"**Kept, not published**: {result.kept}." in card
    assert "against the model before" in card and "of phantom heads" in card

    again = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert (again.version, again.kept) == (result.version, result.kept)
    assert not any(step.fresh for step in again.steps.values())


def test_somebody_elses_choice_meanwhile_stands(
    tiny_config: PipelineConfig,
    target: Path,
    tmp_path: Path,
    model: models.ModelInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decide = stage.decide

    def somebody_publishes(*args: Any, **options: Any) -> Any:
        save_blood_detector(tmp_path / "model", bias=-12.0)
        return decide(*args, **options)

    monkeypatch.setattr(stage, "decide", somebody_publishes)
    result = run(going_on(tiny_config, 1e-7), tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert "was put to use meanwhile" in result.kept
    assert models.current_version(tmp_path / "model") not in (model.version, result.version)


@pytest.mark.parametrize("after", [2, 6])
def test_a_stop_is_obeyed_and_what_is_done_stays(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path, model: models.ModelInfo, after: int
) -> None:
    reports: list[PipelineProgress] = []

    def stop() -> bool:
        return any(one.step == "comparison" and one.done >= after for one in reports)

    arguments: dict[str, Any] = {"target": target, "processes": 1}
    config = going_on(tiny_config, 1e-7)
    with pytest.raises(TrainingStopped, match="phantom heads" if after < 4 else "after comparing"):
        run(config, tmp_path / "work", tmp_path / "model", progress=reports.append, should_stop=stop, **arguments)
    assert models.current_version(tmp_path / "model") == model.version
    result = run(config, tmp_path / "work", tmp_path / "model", **arguments)
    assert [name for name, step in result.steps.items() if step.fresh] == ["comparison", "publication"]


def test_no_heads_are_no_comparison() -> None:
    with pytest.raises(ConfigError, match="heads 0: expected at least 1"):
        ComparisonConfig(heads=0)
