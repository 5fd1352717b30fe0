"""The worklist's order and pages, and the agreement of outlines."""

from typing import Any

import pytest

from amd_das.pacs.series import SeriesInfo
from amd_das_app.dashboard.worklist_view import SHOWN, Wish, agreement, names_in_pacs, worklist
from amd_das_app.pacs.listing import Listing
from amd_das_app.worklist.case_scores import CaseRow


def row(image: str, **known: Any) -> CaseRow:
    nothing = dict.fromkeys(CaseRow.__dataclass_fields__) | {
        "status": "new", "annotator": "", "model_version": "v1", "error": "", "has_thumbnail": False,
    }  # fmt: skip
    return CaseRow(**nothing | {"image": image} | known)  # type: ignore[arg-type]


ROWS = [
    row("a", volume_ml=2.0, uncertainty=0.9, lesions=1),
    row("b"),
    row("c", volume_ml=30.0, uncertainty=0.1, lesions=2, status="taken", annotator="ann"),
    row("d", error="bad_input: no head", status="skipped"),
    row("e", volume_ml=0.0, uncertainty=0.2, lesions=0, status="labelled"),
]


@pytest.mark.parametrize(("order", "expected"), [("volume", "caebd"), ("uncertainty", "aecbd"), ("image", "abcde")])
def test_orders_put_what_is_not_known_last(order: str, expected: str) -> None:
    assert "".join(case.image for case in worklist(ROWS, Wish(order=order), "v1").cases) == expected


def test_a_case_says_what_is_known_and_what_can_be_done() -> None:
    shown = {case.image: case for case in worklist(ROWS, Wish(), "v1").cases}
    assert (shown["c"].volume, shown["c"].lesions, shown["c"].annotator) == ("30.0 mL", 2, "ann")
    assert (shown["b"].volume, shown["b"].dice) == ("", "")
    assert shown["e"].volume == "0.0 mL", "no bleed is a finding, not a gap"
    assert "".join(sorted(image for image, case in shown.items() if case.is_open)) == "abc"
    assert "".join(sorted(image for image, case in shown.items() if case.is_held)) == "cd"


def test_series_of_a_pacs_go_by_date_and_description() -> None:
    series = SeriesInfo(
        study_uid="1.2", series_uid="a", modality="CT", instances=30, description="Head", study_date="20250102",
        study_time="101500", patient_id="PAT-4711",
    )  # fmt: skip
    names = names_in_pacs(Listing(images={"a": series}))
    (case,) = worklist(ROWS, Wish(text="head"), "v1", names).cases
    assert (case.image, case.title, case.address) == ("a", "Head, 2025-01-02 10:15", "/series/1.2/a")
    compared = row("a", volume_ml=1.0, label_ml=1.0, volume_error_ml=0.0)
    assert agreement([compared], "v1", names).cases[0][0] == "Head, 2025-01-02 10:15"


def test_filters_and_counts() -> None:
    view = worklist(ROWS, Wish(status="skipped"), "v1")
    assert [case.image for case in view.cases] == ["d"]
    assert (view.found, view.total, view.scored) == (1, 5, 4)
    assert view.counts == {"new": 2, "taken": 1, "skipped": 1, "labelled": 1}
    assert [case.image for case in worklist(ROWS, Wish(text="B"), "v1").cases] == ["b"]


@pytest.mark.parametrize(("page", "shown", "count"), [(1, 1, SHOWN), (2, 2, 7), (99, 2, 7), (-3, 1, SHOWN)])
def test_pages(page: int, shown: int, count: int) -> None:
    many = [row(f"{number:03}") for number in range(SHOWN + 7)]
    view = worklist(many, Wish(order="image", page=page), "v1")
    assert (view.pages, view.wish.page, len(view.cases)) == (2, shown, count)


def test_agreement_is_of_scans_with_both_outlines() -> None:
    both = [
        row("a", volume_ml=12.0, label_ml=10.0, volume_error_ml=2.0, dice=0.9, hd95_mm=1.0),
        row("b", volume_ml=0.0, label_ml=0.0, volume_error_ml=0.0),
    ]
    view = agreement([*both, row("c", volume_ml=1.0), row("d")], "v1")
    assert [case[0] for case in view.cases] == ["a", "b"]
    assert view.mean_dice == "0.900", "two empty outlines have no Dice"
    assert view.bias == "+1.0 mL"
    assert view.limits == "−1.8 to +3.8 mL"
    assert view.key != agreement(both[:1], "v1").key
    nothing = agreement([row("c", volume_ml=1.0)], "v1")
    assert (nothing.cases, nothing.bias, nothing.mean_dice, nothing.limits) == ((), "", "", "")
