"""Failure cases come from a report of the evaluation, about just this version."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from amd_das.errors import NotFoundError, UnreadableError
from amd_das.evaluation.console import evaluate_in_terminal
from amd_das.model_card import model_card, read_benchmark, renew_card
from amd_das.model_card.benchmark import section
from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn, FcnConfig

VERSION = "2026-01-01-aaaaaaaa"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of five scans: one outlined well, one badly, one missed, a clean negative and one with a false alarm."""
    place = tmp_path_factory.mktemp("report")
    (place / VERSION).mkdir()
    (place / "ref").mkdir()
    for name, ref, pred in (
        ("good", slice(2, 8), slice(2, 8)),
        ("bad", slice(2, 8), slice(2, 4)),
        ("missed", slice(2, 8), slice(0, 0)),
        ("clean", slice(0, 0), slice(0, 0)),
        ("alarm", slice(0, 0), slice(3, 5)),
    ):
        for folder, rows in (("ref", ref), (VERSION, pred)):
            mask = np.zeros((10, 10, 10), np.uint8)
            mask[rows, 2:7, 2:7] = 1
            nibabel.save(nibabel.Nifti1Image(mask, np.diag([2.0, 2, 5, 1])), place / folder / f"{name}.nii.gz")
    kinds = ["case,subtypes", "good,iph", "bad,iph;ivh", "missed,iph", "clean,none", "alarm,sdh"]
    (place / "kinds.csv").write_text("\n".join(kinds))
    evaluate_in_terminal(
        [str(place / VERSION)], place / "ref", place / "out", lambda line: None, subtypes=place / "kinds.csv"
    )
    return place / "out" / "report.json"


def test_worst_cases_and_subtypes_are_told(report: Path) -> None:
    shown = section(read_benchmark(report, VERSION, "c"), named=True)
    assert "Of 3 scans with a bleed and 2 without" in shown
    assert "| bleeds found | 2 of 3 |" in shown
    assert "| negatives with a false alarm | 1 of 2 |" in shown
    assert "| largest of them, mL | 1.00 |" in shown
    assert "| IPH | 2 of 3 |" in shown
    assert "| SDH | – | – | 1 of 1 | 1.00 |" in shown
    assert "| no hemorrhage | – | – | 0 of 1 | 0.00 |" in shown
    rows = [
        line for line in shown.splitlines() if line.startswith(("| missed", "| bad", "| good", "| alarm", "| clean"))
    ]
    assert rows == [
        "| missed | IPH | 3.0 | 0.0 | 0.000 |",
        "| bad | IPH, IVH | 3.0 | 1.0 | 0.500 |",
        "| good | IPH | 3.0 | 3.0 | 1.000 |",
        "| alarm | SDH | 1.00 |",
    ]


def test_names_are_left_out_unless_they_are_asked_for(report: Path) -> None:
    benchmark = read_benchmark(report, VERSION, "c")
    info = ModelInfo(name="amd_das", version=VERSION, checksum="c")
    shown = model_card(info, FcnConfig(), benchmark=benchmark)
    assert "| 1 | IPH | 3.0 | 0.0 | 0.000 |" in shown
    assert not any(name in shown for name in ("| missed", "| alarm", "| bad"))
    assert "Not measured" not in shown
    assert "| missed | IPH" in model_card(info, FcnConfig(), benchmark=benchmark, named=True)


def test_without_kinds_or_bleeds_the_rest_is_told(report: Path) -> None:
    whole = json.loads(report.read_text())
    benchmark = read_benchmark(report, VERSION, "c")
    summary = {**whole["models"][VERSION], "by": {"subtype": {}}}
    negatives = [case for case in benchmark.cases if not case["lesions_ref"]]
    shown = section(type(benchmark)(date="", summary=summary, cases=negatives), named=False)
    assert "were not told" in shown and "Worst bleeds" not in shown and "Worst false alarms" in shown


def test_another_report_is_refused(report: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"is about {VERSION}; expected other: amd-das benchmark other"):
        read_benchmark(report, "other", "c")
    with pytest.raises(NotFoundError, match="no report"):
        read_benchmark(tmp_path / "none.json", VERSION, "c")
    path = tmp_path / "report.json"
    for content in ("{", "[]", '{"models": 3, "cases": []}', '{"cases": []}'):
        path.write_text(content)
        with pytest.raises(UnreadableError, match="is no report"):
            read_benchmark(path, VERSION, "c")
    whole = json.loads(report.read_text())
    path.write_text(json.dumps({**whole, "checksums": {VERSION: "another"}}))
    with pytest.raises(UnreadableError, match="about other weights"):
        read_benchmark(path, VERSION, "c")
    del whole["models"][VERSION]["overall"]["measures"]["dice"]
    path.write_text(json.dumps(whole))
    with pytest.raises(UnreadableError, match="lacks what a card needs"):
        read_benchmark(path, VERSION, "c")


def test_a_versions_card_is_written_again_with_its_failures(report: Path, tmp_path: Path) -> None:
    network = Fcn(FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4))
    info = save_version(tmp_path, network, training={"preset": "paper"}, metrics={}, card="before")
    told = json.loads(report.read_text().replace(VERSION, info.version))
    told.get("checksums", {}).pop(info.version, None)
    own = tmp_path / "report.json"
    own.write_text(json.dumps(told))
    path = renew_card(tmp_path, info.version, own, named=True)
    card = path.read_text()
    assert path == tmp_path / "versions" / info.version / "card.md"
    assert info.checksum in card and "| bleeds found | 2 of 3 |" in card and "missed" in card
    with pytest.raises(NotFoundError, match="there are: " + info.version):
        renew_card(tmp_path, "2025-01-01-bbbbbbbb", own)
    with pytest.raises(NotFoundError, match="expected " + info.version):
        renew_card(tmp_path, info.version, report)
    assert path.read_text() == card, "a refusal leaves it as it was"
