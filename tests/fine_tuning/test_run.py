"""The whole fine-tuning on a few tiny heads: published or kept, continued, stopped, and up to date."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from helpers.disc_slices import disc_store
from helpers.heads import save_blood_detector
from helpers.tiny_fine_tuning import tiny_fine_tuning, write_labelled

from amd_das import models
from amd_das.comparison.rule import Verdict
from amd_das.datasets.splits import split_of
from amd_das.errors import ModelError, TrainingError, TrainingStopped
from amd_das.fine_tuning import run as run_module
from amd_das.fine_tuning import stages
from amd_das.fine_tuning.cases import NothingLabelled
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.run import FineTuneResult, check, run
from amd_das.pipeline.steps import DONE, PipelineProgress
from amd_das.slices import SliceStore

POSITIONS = {"a": 10.0, "b": -10.0, "c": 14.0, "d": -14.0, "e": 6.0}


@pytest.fixture(scope="session")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five labelled heads, each with a bleed elsewhere."""
    studies = tmp_path_factory.mktemp("five")
    for name, bleed_x in POSITIONS.items():
        write_labelled(studies, name, bleed_x=bleed_x)
    return studies


@pytest.fixture
def place(tmp_path: Path, five: Path) -> Path:
    """The same, to be changed; with a blood detector as the model in use."""
    shutil.copytree(five, tmp_path / "studies")
    save_blood_detector(tmp_path / "model")
    return tmp_path


def tune(place: Path, config: FineTuneConfig | None = None, **options: Any) -> FineTuneResult:
    return run(place / "studies", place / "work", place / "model", config or tiny_fine_tuning(), processes=1, **options)


def record_of(place: Path, version: str | None) -> models.ModelInfo:
    assert version is not None
    return models.read_info(place / "model", version)


def card_of(place: Path, version: str | None) -> str:
    return (place / "model" / "versions" / str(version) / models.CARD).read_text()


def test_a_challenger_that_is_not_worse_is_put_to_use(place: Path) -> None:
    before = models.current_version(place / "model")
    seen: list[PipelineProgress] = []
    result = tune(place, tiny_fine_tuning(learning_rate=1e-6), progress=seen.append)
    assert result.published, result.reason
    assert models.current_version(place / "model") == result.version != before
    info = record_of(place, result.version)
    assert info.metrics["champion"]["version"] == before == info.training["fine_tuned_from"]
    assert info.metrics["published"] is True
    assert info.metrics["held_out_bleeds"] == 2
    assert abs(info.metrics["dice_gain"]) < 0.02
    assert info.training["data"].startswith("3 labelled CT, ")
    assert "no pseudo-CT" in info.training["data"]
    own, before_it = info.training["data_sets"]
    assert (own["set"], own["cases"], own["use"]) == ("own", 3, "CT, labelled by hand")
    assert before_it["through"] == before
    card = card_of(place, result.version)
    assert "Not a medical device" in card and "**Published**: not worse on 2 held-out bleed(s)" in card
    assert "learnt from labelled CT alone" in card
    assert [one.overall for one in seen] == sorted(one.overall for one in seen)
    assert seen[-1].overall == 1.0
    assert any("labelled CT alone" in one.message for one in seen)


def test_a_worse_one_is_kept_with_the_reason_and_can_still_be_chosen(place: Path) -> None:
    before = models.current_version(place / "model")
    for path in (place / "studies" / "labels" / "final").iterdir():  # who corrected these saw no blood anywhere
        if split_of(f"case {path.name[0]}", place / "work" / "split.json") == "train" and path.name[0] != "a":
            write_labelled(place / "studies", path.name[0], bleed_x=POSITIONS[path.name[0]], shift=40)
    result = tune(
        place,
        tiny_fine_tuning(learning_rate=0.1, steps=24, validate_steps=24, frozen_stages=0, wrong_share=0.0, average=0.5),
    )
    assert not result.published
    assert models.current_version(place / "model") == before
    info = record_of(place, result.version)
    assert info.metrics["published"] is False
    assert info.metrics["reason"] == result.reason
    assert result.reason.startswith("worse on")
    assert info.metrics["mean_dice"] < info.metrics["champion_mean_dice"] - 0.02
    assert f"**Kept, not published**: {result.reason}" in card_of(place, result.version)
    assert result.version is not None
    models.use_version(place / "model", result.version)
    assert models.load_current(place / "model").info.version == result.version


def test_what_is_up_to_date_is_not_done_again(place: Path) -> None:
    config = tiny_fine_tuning(learning_rate=1e-6)
    first = tune(place, config)
    assert first.published
    again = tune(place, config)
    assert (again.version, again.published) == (None, False)
    assert f"no label has changed since {first.version}" in again.reason
    write_labelled(place / "studies", "f", bleed_x=12.0)
    third = tune(place, config)
    assert record_of(place, third.version).training["fine_tuned_from"] == first.version
    assert third.steps["labels"].fresh


def test_a_version_that_was_kept_is_found_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "decide", lambda *args, **options: Verdict(publish=False, reason="worse, let us say"))
    first = tune(place)
    again = tune(place)
    assert (again.version, again.published, again.reason) == (first.version, False, "worse, let us say")
    assert not any(step.fresh for step in again.steps.values())


def test_the_model_that_was_put_to_use_meanwhile_is_not_replaced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = stages.decide

    def somebody_publishes(*args: Any, **options: Any) -> Verdict:
        save_blood_detector(place / "model", bias=-12.0)
        return decide(*args, **options)

    monkeypatch.setattr(stages, "decide", somebody_publishes)
    result = tune(place, tiny_fine_tuning(learning_rate=1e-6))
    assert not result.published
    assert "was put to use meanwhile" in result.reason
    assert models.current_version(place / "model") != result.version


def test_weights_that_come_out_the_same_are_no_version(place: Path) -> None:
    before = models.current_version(place / "model")
    record = record_of(place, before)
    result = tune(place, tiny_fine_tuning(learning_rate=1e-12))
    assert (result.version, result.published) == (None, False)
    assert "changed no weight" in result.reason
    assert models.list_versions(place / "model") == [before]
    assert record_of(place, before) == record


@pytest.mark.parametrize(("count", "held", "steps"), [(1, 0, 3), (2, 1, 6)])
def test_few_labels(place: Path, count: int, held: int, steps: int) -> None:
    for name in list(POSITIONS)[count:]:
        (place / "studies" / "labels" / "final" / f"{name}.nii.gz").unlink()
    before = models.current_version(place / "model")
    result = tune(place, tiny_fine_tuning(learning_rate=1e-6, patience=9))
    info = record_of(place, result.version)
    assert info.training["steps"] == steps
    assert info.metrics["held_out_bleeds"] == held
    assert result.published is bool(held)
    if not held:
        assert models.current_version(place / "model") == before
        assert "nothing is held out" in result.reason and "label bleeds of at least 2 patients" in result.reason
        assert "a fixed number of steps" in info.training["criterion"]


def test_scans_without_a_bleed_are_learnt_from_and_held_out_too(place: Path) -> None:
    for name in ("x", "y"):
        write_labelled(place / "studies", name, bleed_x=None)
    result = tune(place, tiny_fine_tuning(learning_rate=1e-6))
    info = record_of(place, result.version)
    assert (info.metrics["held_out_bleeds"], info.metrics["held_out_without"]) == (2, 1)
    assert info.metrics["false_ml"] == info.metrics["champion_false_ml"] == 0.0
    assert info.training["data"].startswith("4 labelled CT, ")


def test_pseudo_ct_of_a_pipeline_in_the_same_folder_is_used(place: Path) -> None:
    pseudo = place / "work" / "translation-0123456789ab"
    disc_store(pseudo / "slices", "pseudo_ct", patients=3, slices=4)
    assert "no pseudo-CT" in record_of(place, tune(place).version).training["data"], "that step is not finished"
    (pseudo / DONE).write_text("{}")
    info = record_of(place, tune(place).version)
    assert "8 slices of pseudo-CT" in info.training["data"]
    assert info.metrics.keys() >= {"pseudo_ct_dice", "champion_pseudo_ct_dice"}
    assert not any("labelled CT alone" in note for note in info.training["notes"])


def test_training_ends_when_the_held_out_get_no_better(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    monkeypatch.setattr(stages.HeldOutJudge, "__call__", lambda self, network: {"score": next(scores)})
    result = tune(place, tiny_fine_tuning(steps=40, patience=2))
    trained = result.steps["fine_tuning"].summary
    assert (trained["steps"], trained["best"]["step"]) == (8, 4)


def stop_at(step: str, done: int, reports: list[PipelineProgress]) -> Callable[[], bool]:
    return lambda: any(one.step == step and one.done >= done for one in reports)


@pytest.mark.parametrize(("step", "done"), [("labels", 2), ("fine_tuning", 0), ("comparison", 1)])
def test_a_stop_is_obeyed_and_an_uninterrupted_run_would_have_made_the_same(place: Path, step: str, done: int) -> None:
    reports: list[PipelineProgress] = []
    shutil.copytree(place / "model", place / "other" / "model")
    shutil.copytree(place / "studies", place / "other" / "studies", copy_function=shutil.copy2)
    with pytest.raises(TrainingStopped):
        tune(place, progress=reports.append, should_stop=stop_at(step, done, reports))
    result = tune(place)
    order = ["labels", "fine_tuning", "comparison", "publication"]
    fresh = [name for name, made in result.steps.items() if made.fresh]
    assert fresh == order[order.index(step) :]
    (place / "other" / "work").mkdir()
    shutil.copy2(place / "work" / "split.json", place / "other" / "work")
    assert tune(place / "other").version == result.version


def test_a_label_that_changes_is_prepared_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tune(place)
    held = {name: split_of(f"case {name}", place / "work" / "split.json") for name in POSITIONS}
    prepared: list[str] = []
    prepare = stages.prepare_labels.__globals__["prepare"]

    def counting(cases: Any, directory: Path, *args: Any, **options: Any) -> Any:
        there = {case.case for case in SliceStore.open(directory).cases}
        prepared.extend(one.case for one in cases if one.case not in there)
        return prepare(cases, directory, *args, **options)

    monkeypatch.setitem(stages.prepare_labels.__globals__, "prepare", counting)
    write_labelled(place / "studies", "c", bleed_x=11.0)
    write_labelled(place / "studies", "new", bleed_x=None)
    second = tune(place)
    assert sorted(prepared) == ["c", "new"]
    assert second.steps["labels"].key != first.steps["labels"].key
    assert not first.steps["labels"].folder.exists() and not first.steps["fine_tuning"].folder.exists()
    assert {name: split_of(f"case {name}", place / "work" / "split.json") for name in POSITIONS} == held
    store = SliceStore.open(second.steps["labels"].folder / "slices")
    assert sorted(case.case for case in store.cases) == [*sorted(POSITIONS), "new"]
    for number, case in enumerate(store.cases):
        rows = np.flatnonzero(store.case_index == number)
        assert store.labels is not None
        assert tuple(np.count_nonzero(store.labels[rows], axis=(1, 2)).tolist()) == case.lesion_px


def test_one_scan_that_cannot_be_prepared_does_not_stop_the_others(place: Path) -> None:
    label = place / "studies" / "labels" / "final" / "b.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), label)
    result = tune(place)
    notes = record_of(place, result.version).training["notes"]
    assert any(
        "1 labelled scan(s) could not be used. b: the mask b.nii.gz has shape (4, 4, 4)" in note for note in notes
    )


def test_what_can_be_known_before_work_starts_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies, work, model = place / "studies", place / "work", place / "model"
    config = tiny_fine_tuning()
    check(studies, work, model, config)
    assert not work.exists()
    with pytest.raises(ModelError, match="no model"):
        check(studies, work, place / "none", config)
    full = SimpleNamespace(total=10, used=10, free=0)
    with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r"5 scans needs .* 0 MiB are free"):
        patch.setattr(shutil, "disk_usage", lambda path: full)
        check(studies, work, model, config)
    for path in (studies / "labels" / "final").iterdir():
        path.unlink()
    with pytest.raises(NothingLabelled):
        check(studies, work, model, config)


def test_another_training_at_work_in_the_folder_is_an_error(place: Path) -> None:
    with run_module.only_one(place / "work"), pytest.raises(TrainingError, match="another training is at work"):
        tune(place)


def test_a_model_fine_tuned_under_another_split_is_told_of(place: Path) -> None:
    first = tune(place, tiny_fine_tuning(learning_rate=1e-6))
    assert first.published
    (place / "work" / "split.json").unlink()
    write_labelled(place / "studies", "f", bleed_x=12.0)
    notes = record_of(place, tune(place).version).training["notes"]
    assert any(f"{first.version} was fine-tuned under another split" in note for note in notes)


def test_a_labelled_head_is_learnt(place: Path) -> None:
    """From weights that find nothing, a few labels bring the held-out bleeds back."""
    network = models.load_current(place / "model").network
    with torch.no_grad():
        network.classifier.bias.fill_(-40.0)
    models.save_version(place / "model", network, training={}, metrics={}, card="finds nothing\n")
    config = tiny_fine_tuning(
        learning_rate=0.1, steps=120, validate_steps=20, patience=6, frozen_stages=5, average=0.5, patch=96
    )
    result = tune(place, config)
    metrics = record_of(place, result.version).metrics
    assert metrics["champion_mean_dice"] < 0.05
    assert result.published and metrics["mean_dice"] > 0.4, metrics
