"""From files to a store: in order, resumable, and with errors that say what to do."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.flairs import make_flair, save, write_decathlon
from helpers.heads import write_head

from amd_das.datasets import CaseFiles, head_cts, labelled_mri
from amd_das.datasets.splits import known
from amd_das.errors import ConfigError, ProcessLostError, TrainingError, TrainingStopped
from amd_das.processes import in_order
from amd_das.segmentation.batches import split_patients
from amd_das.slices import SliceStore
from amd_das.slices import prepare as prepare_module
from amd_das.slices.cases import PrepareConfig
from amd_das.slices.prepare import prepare

CONFIG = PrepareConfig(least_slices=1)


@pytest.fixture
def source(tmp_path: Path) -> list[CaseFiles]:
    """Three labelled MRI; the second is damaged."""
    cases = labelled_mri(write_decathlon(tmp_path / "mri", "a", "b", "c"))
    cases[1].image.write_bytes(cases[1].image.read_bytes()[:500])
    return cases


def content(store: Path) -> dict[str, bytes]:
    """Every file but the split, in which those who came first have their place first."""
    return {path.name: path.read_bytes() for path in store.iterdir() if "split" not in path.name}


def run(cases: Sequence[CaseFiles], store: Path, **options: object) -> prepare_module.PrepareReport:
    return prepare(cases, store, "source", CONFIG, **{"processes": 1, **options})  # type: ignore[arg-type]


def test_a_case_that_fails_does_not_stop_the_others(source: list[CaseFiles], tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    report = run(source, tmp_path / "s", progress=lambda *args: told.append(args))
    assert told == [(0, 3, ""), (1, 3, "a"), (2, 3, "b"), (3, 3, "c")]
    store = SliceStore.open(tmp_path / "s")
    assert [case.case for case in store.cases] == ["a", "c"]
    assert (report.cases, report.added, report.slices) == (2, 2, len(store))
    assert set(report.failures) == set(store.failures) == {"b"}
    assert "b.nii.gz is damaged" in report.failures["b"]
    assert store.config == {
        "every": 1,
        "least_brain_px": 1500,
        "source_slices": [60, 99],
        "mri_percentile": 99.5,
    }


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_processes(source: list[CaseFiles], tmp_path: Path) -> None:
    run(source, tmp_path / "one")
    run(source, tmp_path / "two", processes=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_second_run_does_what_is_left(source: list[CaseFiles], tmp_path: Path) -> None:
    run(source, tmp_path / "whole")
    run(source[:1], tmp_path / "s")
    report = run(source, tmp_path / "s")
    assert (report.cases, report.added, set(report.failures)) == (2, 1, {"b"})
    assert content(tmp_path / "s") == content(tmp_path / "whole")
    shutil.copy(source[0].image, source[1].image)
    assert run(source, tmp_path / "s").added == 0
    report = run(source, tmp_path / "s", retry=True)
    assert (report.cases, report.added, report.failures) == (3, 1, {})


def test_where_nothing_was_good_all_are_tried_again(source: list[CaseFiles], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none of 1 cases could be prepared. b: b.nii.gz is damaged"):
        run(source[1:2], tmp_path / "s")
    shutil.copy(source[0].image, source[1].image)
    assert run(source[1:2], tmp_path / "s").cases == 1


def test_when_all_fail_the_rest_is_not_tried(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path / "mri", "a"))
    cases = [replace(files, case=f"c{number}", image=tmp_path / "not there.nii.gz") for number in range(9)]
    config, told = replace(CONFIG, give_up=3), list[str]()
    with pytest.raises(TrainingError, match=r"none of 3 cases could be prepared\. c0: "):
        prepare(cases, tmp_path / "s", "source", config, processes=1, progress=lambda *args: told.append(args[2]))
    assert told == ["", "c0", "c1", "c2"]


def test_a_patient_keeps_his_name_when_cases_are_added(source: list[CaseFiles], tmp_path: Path) -> None:
    a, _, c = source
    run([replace(c, patient="c")], tmp_path / "s")
    run([replace(a, patient="a"), replace(c, patient="a")], tmp_path / "s")
    assert {case.case: case.patient for case in SliceStore.open(tmp_path / "s").cases} == {"a": "c", "c": "c"}


@pytest.mark.parametrize("asked", [0, 1])
def test_it_stops_when_asked_and_keeps_what_is_done(asked: int, source: list[CaseFiles], tmp_path: Path) -> None:
    answers = iter([False] * asked + [True])
    with pytest.raises(TrainingStopped, match=f"stopped after {asked} of 3 cases; run again"):
        run(source, tmp_path / "s", should_stop=lambda: next(answers))
    assert len(SliceStore.open(tmp_path / "s").cases) == asked


def test_head_cts_are_labelled_only_where_masks_are_given(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    write_head(tmp_path / "ct" / "c.nii.gz")
    report = prepare(head_cts(tmp_path / "ct"), tmp_path / "s", "target", CONFIG, processes=1)
    store = SliceStore.open(tmp_path / "s")
    assert (report.cases, store.domain, store.labels) == (1, "target", None)
    assert store.lesion_px.sum() > 0


def test_what_cannot_be_trained_on_is_refused_before_work(source: list[CaseFiles], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no cases to prepare as source"):
        run([], tmp_path / "s")
    with pytest.raises(TrainingError, match="none of the 3 source cases has a mask; expected labelsTr"):
        run([replace(files, mask=None) for files in source], tmp_path / "s")
    with pytest.raises(ConfigError, match=r"1 case names come more than once \(a\)"):
        run([*source, source[0]], tmp_path / "s")
    with pytest.raises(ConfigError, match="processes 0"):
        run(source, tmp_path / "s", processes=0)
    with pytest.raises(ConfigError, match="domain 'pseudo_ct' cannot be prepared"):
        prepare(source, tmp_path / "s", "pseudo_ct", CONFIG, processes=1)
    assert not (tmp_path / "s").exists()
    empty = save(0 * make_flair()[1], tmp_path / "empty.nii.gz")
    with pytest.raises(TrainingError, match="all 3 masks are empty"):
        run([replace(files, mask=empty) for files in source], tmp_path / "s")


def test_too_few_slices_and_no_lesion_among_them(source: list[CaseFiles], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there are \d+ slices of 2 cases .* at least 500. Add cases"):
        prepare(source, tmp_path / "s", "source", replace(CONFIG, least_slices=500), processes=1)
    mask = 0 * make_flair()[1]
    mask[24, 28, 19] = 1  # above the slices taken
    high = save(mask, tmp_path / "high.nii.gz")
    with pytest.raises(TrainingError, match="slices bears a lesion"):
        run([replace(files, mask=high) for files in source], tmp_path / "t")


def test_a_disk_without_room_is_told_before_work(
    source: list[CaseFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 3 * 40 * 240 * 240 * 2

    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(prepare_module.shutil, "disk_usage", lambda _: Usage(free - 1))
    with pytest.raises(TrainingError, match=r"3 cases need about 0\.0 GiB"):
        run(source, tmp_path / "s")
    monkeypatch.setattr(prepare_module.shutil, "disk_usage", lambda _: Usage(free))
    assert run(source, tmp_path / "s").cases == 2


def test_a_process_killed_from_outside_is_told(
    source: list[CaseFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = lambda work, things, *rest: in_order(os._exit, [1] * len(things), *rest)  # noqa: E731
    monkeypatch.setattr(prepare_module, "in_order", killed)
    with pytest.raises(ProcessLostError, match=r"ended from outside.* with fewer processes"):
        run(source, tmp_path / "s", processes=2)
    assert SliceStore.open(tmp_path / "s").cases == ()


def test_who_is_held_out_stays_so_when_cases_come(tmp_path: Path) -> None:
    cases = labelled_mri(write_decathlon(tmp_path / "mri", *"abcdef"))
    config = replace(CONFIG, validation_share=0.5)
    prepare(cases[2:], tmp_path / "s", "source", config, processes=1)
    before = dict(zip("cdef", known(list("cdef"), tmp_path / "s" / "split.json"), strict=True))
    assert sorted(map(str, before.values())) == ["train", "train", "validation", "validation"]
    prepare(cases, tmp_path / "s", "source", config, processes=1)
    after = dict(zip("abcdef", known(list("abcdef"), tmp_path / "s" / "split.json"), strict=True))
    assert {name: after[name] for name in "cdef"} == before
    assert list(after.values()).count("validation") == 3
    store = SliceStore.open(tmp_path / "s")
    for share, seed in ((0.5, 0), (0.1, 7)):
        held = split_patients(store, share, seed)[1]
        assert {store.cases[number].case for number in store.case_index[held]} == {
            name for name, place in after.items() if place == "validation"
        }


def test_a_split_kept_elsewhere_outlives_the_store(tmp_path: Path) -> None:
    cases = labelled_mri(write_decathlon(tmp_path / "mri", *"abcd"))
    file = tmp_path / "split-source.json"
    config = replace(CONFIG, validation_share=0.5)
    prepare(cases[2:], tmp_path / "one", "source", config, processes=1, split=file)
    prepare(cases, tmp_path / "two", "source", config, processes=1, split=file)
    first = known(["c", "d"], tmp_path / "one" / "split.json")
    assert known(["c", "d"], tmp_path / "two" / "split.json") == first == known(["c", "d"], file)


def test_the_authors_split_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    cases = labelled_mri(write_decathlon(tmp_path / "mri", *"abcd"))
    parts = ("test", "train", "test", "validation")
    parted = [replace(one, split=part) for one, part in zip(cases, parts, strict=True)]
    prepare(parted, tmp_path / "s", "source", replace(CONFIG, official_split=True), processes=1)
    assert known(list("abcd"), tmp_path / "s" / "split.json") == ["validation", "train", "validation", "validation"]


def test_masks_of_different_lesions_do_not_mix(tmp_path: Path) -> None:
    cases = labelled_mri(write_decathlon(tmp_path / "mri", "a", "b"))
    with pytest.raises(ConfigError, match="some masks outline any and others iph"):
        run([replace(cases[0], lesion="any"), cases[1]], tmp_path / "s")
    run([replace(one, lesion="any") for one in cases], tmp_path / "s")
    store = SliceStore.open(tmp_path / "s")
    assert store.config["lesion"] == "any"
    assert {case.provenance["lesion"] for case in store.cases} == {"hemorrhage of any kind"}
    with pytest.raises(ConfigError, match="holds slices made with lesion any"):
        run(cases, tmp_path / "s")
