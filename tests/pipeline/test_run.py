"""The whole pipeline on a few tiny scans: it publishes, does nothing twice, and continues where it was stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from amd_das import models
from amd_das.errors import ConfigError, ModelError, NotFoundError, TrainingError, TrainingStopped
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.presets import paper
from amd_das.pipeline.run import check, run
from amd_das.pipeline.stages import MATCHES, PHANTOMS, SHEET, SLICES
from amd_das.pipeline.steps import PipelineProgress
from amd_das.segmentation.selection import TARGET_ONLY, best_weights
from amd_das.segmentation.trust import SliceTrust
from amd_das.slices import SliceStore

UNSURE = SliceTrust(begins=1e-6, sure_from=0.999999, least_px=1)
LEARNT = ("segmentation", "self_training_1", "self_training_2")


def test_labelled_mri_and_unlabelled_ct_become_a_published_version(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    seen: list[PipelineProgress] = []
    result = run(
        tiny_config,
        tmp_path / "work",
        tmp_path / "model",
        source=source,
        target=target,
        processes=1,
        progress=seen.append,
    )
    assert list(result.steps) == ["source", "target", "matching", "synthesis", "translation", *LEARNT, "publication"]
    assert all(made.fresh for made in result.steps.values())
    assert (result.steps["matching"].folder / MATCHES).is_file()
    assert (result.steps["matching"].folder / SHEET).is_file()

    pseudo_ct = SliceStore.open(result.steps["translation"].folder / SLICES)
    mri = SliceStore.open(result.steps["source"].folder / SLICES)
    assert pseudo_ct.labels is not None
    assert (pseudo_ct.labels == mri.labels).all()
    assert SliceStore.open(result.steps["target"].folder / SLICES).labels is None

    loaded = models.load_current(tmp_path / "model")
    assert loaded.info.version == result.version
    assert loaded.info.training["labels"].startswith("of the MRI alone")
    card = (tmp_path / "model" / "versions" / loaded.info.version / models.CARD).read_text()
    assert "Not a medical device" in card

    assert [report.overall for report in seen] == sorted(report.overall for report in seen)
    assert seen[-1].overall == 1.0
    assert {"synthesis", "segmentation", "self_training_1"} <= {report.step for report in seen if report.losses}

    again = run(tiny_config, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    assert again.version == result.version
    assert not any(found.fresh for found in again.steps.values())

    models.save_version(tmp_path / "model", loaded.network.float(), training={}, metrics={}, card="another")
    changed = replace(tiny_config, segmentation=replace(tiny_config.segmentation, adversarial_weight=0.01))
    other = run(changed, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    assert [name for name, step in other.steps.items() if step.fresh] == [*LEARNT, "publication"]
    assert other.version != result.version


def test_two_rounds_of_self_training_are_kept_and_published(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    result = run(tiny_config, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    made = result.steps["self_training_2"]
    learnt = SliceStore.open(made.folder / SLICES)
    assert learnt.labels is not None
    assert {case.patient for case in learnt.cases} < {
        case.patient for case in SliceStore.open(result.steps["target"].folder / SLICES).cases
    }, "who is held out is not learnt from"
    assert made.summary["steps"] == 2
    published = models.load_current(tmp_path / "model").network.state_dict()
    kept = best_weights(made.folder)
    assert all(torch.equal(published[name], kept[name].half().float()) for name in kept if "weight" in name)

    longer = replace(tiny_config, self_training=(*tiny_config.self_training, tiny_config.self_training[-1]))
    other = run(longer, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    assert [name for name, step in other.steps.items() if step.fresh] == ["self_training_3", "publication"]


def test_a_network_that_is_sure_of_nothing_is_published_as_it_is(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    unsure = tuple(replace(settings, trust=UNSURE) for settings in tiny_config.self_training)
    config = replace(tiny_config, self_training=unsure)
    result = run(config, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    made = result.steps["self_training_2"]
    assert "sure of no target slice" in made.summary["messages"][0]
    before, after = (best_weights(result.steps[name].folder) for name in ("segmentation", "self_training_2"))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.usefixtures("small_phantoms")
def test_from_a_published_model_on_ct_alone_is_learnt_from(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    wider = replace(tiny_config.segmentation.network, decoder_tail=tiny_config.segmentation.network.decoder_tail + 1)
    network = Fcn(wider)
    data = [{"set": "decathlon", "use": "source, with labels", "cases": 2, "slices": 9}]
    before = models.save_version(
        tmp_path / "model", network, training={"labels": "of the MRI", "data_sets": data}, metrics={}, card="first"
    )
    config = replace(tiny_config, name="on", starts_from="published")
    result = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert list(result.steps) == ["target", "self_training_1", "self_training_2", "comparison", "publication"]
    assert result.steps["self_training_2"].summary["criterion"] == TARGET_ONLY
    made = models.load_current(tmp_path / "model").info
    assert made.version == result.version != before.version
    assert made.training["adapted_from"] == before.version
    assert models.load_current(tmp_path / "model").network.config == wider
    assert made.training["labels"] == f"none; those of {before.version}: of the MRI"
    assert [line["set"] for line in made.training["data_sets"]] == ["own", "decathlon"]
    assert made.training["data_sets"][1]["through"] == before.version
    card = (tmp_path / "model" / "versions" / made.version / models.CARD).read_text()
    assert f"| adapted from | {before.version} |" in card

    onwards = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert not onwards.steps["target"].fresh
    assert onwards.steps["self_training_1"].fresh, "it goes on from what is in use now"
    assert models.load_current(tmp_path / "model").info.training["adapted_from"] == made.version


@pytest.mark.usefixtures("small_phantoms")
def test_phantoms_are_rehearsed_beside_a_target_of_ones_own(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path
) -> None:
    before = models.save_version(
        tmp_path / "model", Fcn(tiny_config.segmentation.network), training={}, metrics={}, card="first"
    )
    config = replace(tiny_config, name="on", starts_from="published", rehearsal_heads=3)
    result = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert list(result.steps)[:3] == ["target", "rehearsal", "self_training_1"]
    assert not (result.steps["rehearsal"].folder / PHANTOMS).exists()
    prepared = SliceStore.open(result.steps["rehearsal"].folder / SLICES)
    assert prepared.labels is None and len(prepared.cases) == 3
    made = result.steps["self_training_1"].folder
    own, phantoms = SliceStore.open(made / SLICES), SliceStore.open(made / "rehearsal")
    assert phantoms.labels is not None
    assert {case.case for case in phantoms.cases} < {case.case for case in prepared.cases}, "one is held out"
    assert not {case.case for case in phantoms.cases} & {case.case for case in own.cases}
    info = models.read_info(tmp_path / "model", str(result.version))
    uses = [line["use"] for line in info.training["data_sets"] if "through" not in line]
    assert uses == ["target, without labels", "rehearsal, without labels"]
    assert "rehearsal: 3 cases" in info.training["data"] and info.version != before.version

    alone = replace(config, rehearsal_heads=0)
    models.use_version(tmp_path / "model", before.version)
    other = run(alone, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert other.steps["self_training_1"].fresh and not other.steps["target"].fresh
    assert other.version != result.version, "the phantoms were learnt from"


def test_phantoms_are_not_rehearsed_beside_phantoms(tiny_config: PipelineConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no step 'rehearsal'; expected one of target, self_training, comparison"):
        config = replace(tiny_config, name="on", starts_from="published", rehearsal_heads=3)
        check(config, source=None, target=None, until="rehearsal")
    with pytest.raises(ConfigError, match="no step 'rehearsal'"):
        check(replace(tiny_config, rehearsal_heads=3), source=None, target=tmp_path, until="rehearsal")
    with pytest.raises(ConfigError, match="rehearsal_heads -1"):
        replace(tiny_config, rehearsal_heads=-1)


@pytest.mark.usefixtures("small_phantoms")
@pytest.mark.parametrize("afresh", [False, True])
def test_a_round_begins_with_what_predicted_or_afresh(
    tiny_config: PipelineConfig, target: Path, tmp_path: Path, afresh: bool
) -> None:
    torch.manual_seed(1)  # another than the seed of the run
    network = Fcn(tiny_config.segmentation.network)
    models.save_version(tmp_path / "model", network, training={}, metrics={}, card="first")
    hardly = replace(tiny_config.self_training[0], afresh=afresh, learning_rate=1e-9)
    config = replace(tiny_config, name="on", starts_from="published", self_training=(hardly,))
    result = run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    kept, name = best_weights(result.steps["self_training_1"].folder), "encoder.2.0.weight"
    assert torch.allclose(kept[name], network.state_dict()[name], atol=1e-3) != afresh


def test_from_a_published_model_on_there_are_no_other_steps_and_no_mri(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    config = replace(tiny_config, name="on", starts_from="published")
    steps = "target, self_training, comparison, publication"
    with pytest.raises(ConfigError, match=f"on has no step 'synthesis'; expected one of {steps}"):
        check(config, source=None, target=target, until="synthesis")
    with pytest.raises(ConfigError, match="on goes on from the model in use, with CT alone; leave the MRI"):
        check(config, source=source, target=target)
    with pytest.raises(ConfigError, match="there is self-training alone; expected rounds of it"):
        replace(config, self_training=())
    with pytest.raises(ModelError, match="no model"):
        run(config, tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert not (tmp_path / "work").exists()

    models.save_version(tmp_path / "model", Fcn(config.segmentation.network), training={}, metrics={}, card="unsure")
    unsure = tuple(replace(settings, trust=UNSURE) for settings in config.self_training)
    with pytest.raises(TrainingError, match=r"sure of no target slice, .*; the model in use stays as it is"):
        run(replace(config, self_training=unsure), tmp_path / "work", tmp_path / "model", target=target, processes=1)
    assert len(models.list_versions(tmp_path / "model")) == 1


def test_the_paper_has_no_self_training(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    assert not paper().self_training
    config = replace(tiny_config, self_training=())
    result = run(config, tmp_path / "work", tmp_path / "model", source=source, target=target, processes=1)
    assert not [name for name in result.steps if "self_training" in name]


@pytest.mark.parametrize("train_on", ["mri", "ct"])
def test_the_other_rows_of_the_tables_need_no_synthesis(
    tiny_config: PipelineConfig, source: Path, tmp_path: Path, target: Path, train_on: str
) -> None:
    config = replace(tiny_config, train_on=train_on, matched=False)  # type: ignore[arg-type]
    if train_on == "ct":
        with pytest.raises(TrainingError, match="no labels"):
            run(config, tmp_path, tmp_path / "model", source=source, target=target, processes=1)
    else:
        result = run(config, tmp_path, tmp_path / "model", source=source, target=target, processes=1)
        assert list(result.steps) == ["source", "target", "matching", *LEARNT, "publication"]


def test_a_stop_is_obeyed_and_what_is_done_stays(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    reports: list[PipelineProgress] = []

    def stop_in_stage_1() -> bool:
        return bool(reports) and reports[-1].step == "synthesis" and reports[-1].done >= 1

    arguments = {"source": source, "target": target, "processes": 1}
    with pytest.raises(TrainingStopped):
        run(tiny_config, tmp_path, tmp_path, progress=reports.append, should_stop=stop_in_stage_1, **arguments)
    result = run(tiny_config, tmp_path, tmp_path, until="synthesis", **arguments)
    assert [name for name, step in result.steps.items() if step.fresh] == ["synthesis"]
    assert result.version is None


@pytest.mark.slow
def test_phantoms_stand_in_and_their_ct_masks_are_not_kept(tiny_config: PipelineConfig, tmp_path: Path) -> None:
    config = replace(tiny_config, source_heads=2, target_heads=2)
    result = run(config, tmp_path / "work", tmp_path / "model", until="target", processes=1)
    for name in ("source", "target"):
        assert result.steps[name].summary["cases"] == 2
        assert not (result.steps[name].folder / PHANTOMS).exists()
    target = SliceStore.open(result.steps["target"].folder / SLICES)
    assert target.labels is None
    assert len(target) > 10


def test_what_can_be_known_before_work_starts_is_said(
    tiny_config: PipelineConfig, source: Path, target: Path, tmp_path: Path
) -> None:
    check(tiny_config, source=source, target=target)
    check(tiny_config, source=None, target=None)
    with pytest.raises(NotFoundError, match="no folder of labelled MRI"):
        check(tiny_config, source=tmp_path, target=None)
    with pytest.raises(NotFoundError):
        check(tiny_config, source=None, target=tmp_path / "none")
    (tmp_path / "imagesTr").symlink_to(source / "imagesTr")
    with pytest.raises(TrainingError, match="has a mask"):
        check(tiny_config, source=tmp_path, target=None)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "head.nii.gz").symlink_to(target / "head0.nii.gz")
    with pytest.raises(TrainingError, match="1 patient"):
        check(tiny_config, source=None, target=tmp_path / "one")
    with pytest.raises(TrainingError, match=r"first 3 target cases cannot be used\. BRATS_003: .*not"):
        check(tiny_config, source=None, target=source / "imagesTr")
    with pytest.raises(ConfigError, match="no step 'training'; expected one of source"):
        check(tiny_config, source=None, target=None, until="training")
