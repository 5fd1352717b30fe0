"""Strategies: the greatest rank first, the unknown last, and an answer even where nothing is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amd_das_app.worklist.case_scores import CaseScores
from amd_das_app.worklist.scores import CaseScore
from amd_das_app.worklist.strategies import make_strategies

SCANS = ["a", "b", "c", "d"]


class Studies:
    """What strategies ask of a datastore."""

    def __init__(self, labelled: tuple[str, ...] = ()) -> None:
        self.labelled = labelled

    def list_images(self) -> list[str]:
        return list(SCANS)

    def get_labeled_images(self) -> list[str]:
        return list(self.labelled)

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        return [image for image in SCANS if image not in self.labelled]

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, str]:
        return {"client_id": "eve"}


def bits(*ones: int) -> bytes:
    """A fingerprint of 64 bits with these set."""
    return np.array([sum(1 << one for one in ones)], "<u8").tobytes()


@pytest.fixture
def cases(tmp_path: Path) -> CaseScores:
    return CaseScores(tmp_path)


def fill(cases: CaseScores, **known: dict[str, Any]) -> None:
    for image, values in known.items():
        cases.store.put(CaseScore(image=image, version="v1", image_stamp="s", **values))


def order(cases: CaseScores, strategy: str, studies: Any = None) -> list[str | None]:
    """Whom four annotators get, one after the other, and a fifth."""
    chosen = make_strategies(cases, lambda: "v1")[strategy]
    answers = [chosen({"client_id": f"annotator {number}"}, studies or Studies()) for number in range(5)]
    return [answer["id"] if answer else None for answer in answers]


def test_largest_first_is_what_clients_offer_first(cases: CaseScores) -> None:
    assert list(make_strategies(cases, lambda: "")) == ["largest_first", "uncertain", "diverse", "random", "first"]


def test_largest_first(cases: CaseScores) -> None:
    fill(cases, a={"volume_ml": 0.0}, b={"volume_ml": 2.0}, d={"volume_ml": 30.0})
    assert order(cases, "largest_first") == ["d", "b", "a", "c", None]


def test_what_could_not_be_scored_comes_last(cases: CaseScores) -> None:
    fill(cases, a={"error": "no head"}, b={"volume_ml": 0.0}, c={"volume_ml": 1.0}, d={"volume_ml": 0.5})
    assert order(cases, "largest_first")[:4] == ["c", "d", "b", "a"]


def test_uncertain_weighs_entropy_and_inconsistency(cases: CaseScores) -> None:
    fill(
        cases,
        a={"entropy": 0.2, "flip_consistency": 1.0},
        b={"entropy": 0.2, "flip_consistency": 0.1},
        c={"entropy": 0.9, "flip_consistency": 1.0},
    )
    assert order(cases, "uncertain")[:4] == ["b", "c", "a", "d"]


def test_diverse_is_farthest_from_what_is_labelled_or_taken(cases: CaseScores) -> None:
    fill(
        cases,
        a={"fingerprint": bits()},
        b={"fingerprint": bits(1)},
        c={"fingerprint": bits(*range(30))},
        d={"fingerprint": bits(*range(29))},
    )
    assert order(cases, "diverse", Studies(labelled=("a",))) == ["c", "b", "d", None, None]


@pytest.mark.parametrize("strategy", ["largest_first", "uncertain", "diverse", "random", "first"])
def test_while_nothing_is_scored_each_scan_is_handed_out_once(cases: CaseScores, strategy: str) -> None:
    found = order(cases, strategy)
    assert sorted(image for image in found if image) == SCANS
    assert found[4] is None


def test_scores_of_another_version_do_not_count(cases: CaseScores) -> None:
    cases.store.put(CaseScore(image="d", version="v0", image_stamp="s", volume_ml=50.0))
    assert order(cases, "largest_first")[0] == "a"


def test_rows_tell_who_has_what(cases: CaseScores) -> None:
    cases.turns.take("ann", ["b"], min)
    cases.turns.skip("c", "bob")
    rows = {row.image: (row.status, row.annotator) for row in cases.rows(Studies(labelled=("a",)), "v1")}  # type: ignore[arg-type]
    assert rows == {"a": ("labelled", "eve"), "b": ("taken", "ann"), "c": ("skipped", "bob"), "d": ("new", "")}
