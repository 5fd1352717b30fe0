"""Pages for people: what they say, and that nothing from outside becomes part of them unescaped."""

from typing import Any

import pytest

from amd_das.output.dicom import Report
from amd_das.pacs.job import PacsJob
from amd_das.pacs.series import SeriesInfo, StoredResult
from amd_das_app.pacs.listing import Listing
from amd_das_app.pages.series_list import SHOWN, moment, series_list
from amd_das_app.pages.series_page import SeriesView, series_page

HOSTILE = '"><script>x</script>'
LESION = {
    "label": 1, "volume_ml": 12.34, "abc2_ml": 11.0, "diameters_mm": {"a": 40.2, "b": 30.1, "c": 20.0},
    "mean_hu": 61.2, "side": "left", "bounding_slices": [3, 7], "centroid_mm": [0, 0, 0],
}  # fmt: skip


def series(number: int = 1, **given: Any) -> SeriesInfo:
    given = {"study_date": f"2025{number // 28 + 1:02d}{number % 28 + 1:02d}", "description": "Head"} | given
    return SeriesInfo(study_uid="1.2", series_uid=f"1.2.{number}", modality="CT", instances=30, **given)


def job(state: str = "done", *, lesions: Any = (LESION,), error: str = "", **result: Any) -> PacsJob:
    found = {
        "volume_ml": 12.34 if lesions else 0.0, "lesions": list(lesions), "warnings": [], "stored": True,
        "model": {"version": "v1"},
    } | result  # fmt: skip
    return PacsJob(
        id="abc", study_uid="1.2", series_uid="1.2.1", model_version="v1", options={"formats": ["seg", "sr"]},
        state=state, attempts=1, submitted=0.0, started=0.0, finished=0.0, result=found if state == "done" else None,
        error=error, error_code="",
    )  # fmt: skip


def shown(**given: Any) -> str:
    view = {"series": series(), "stored": [], **given}
    return bytes(series_page(SeriesView(**view)).body).decode()


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20250102", "101500.25", "2025-01-02 10:15"),
        ("20250102", "", "2025-01-02"),
        ("", "", "no date"),
        ("2025.01.02", "1", "2025.01.02"),
    ],
)
def test_dates_are_written_as_people_write_them(date: str, time: str, expected: str) -> None:
    assert moment(date, time) == expected


def test_the_newest_series_come_first_and_not_all_of_them() -> None:
    html = series_list(Listing(images={one.series_uid: one for one in map(series, range(SHOWN + 5))}))
    assert html.count("<tr>") == SHOWN + 1
    assert html.index(f"1.2.{SHOWN + 4}") < html.index(f"1.2.{SHOWN + 3}")
    assert 'href="/series/1.2/1.2.0"' not in html
    assert "5 older series" in html


def test_the_list_says_who_outlined_what() -> None:
    images = {one.series_uid: one for one in map(series, range(3))}
    result = StoredResult(series=series(9), references=frozenset({"1.2.1"}))
    html = series_list(Listing(images=images, segmented=frozenset({"1.2.0", "1.2.1"}), labels={"1.2.1": (result,)}))
    assert html.count("by AMD-DAS") == 2
    assert html.count("by AMD-DAS and by a person") == 1


def test_nothing_from_outside_becomes_part_of_a_page() -> None:
    hostile = series(description=HOSTILE, study_date=HOSTILE, study_time=HOSTILE, patient_id="PAT-4711")
    stored = [(StoredResult(series=hostile, references=frozenset()), None)]
    pages = (
        series_list(Listing(images={"1.2.1": hostile})),
        shown(series=hostile, stored=stored, latest=job("failed", error=HOSTILE)),
        shown(done=job(warnings=[HOSTILE], model={"version": HOSTILE}, lesions=[LESION | {"side": HOSTILE}])),
    )
    for html in pages:
        assert HOSTILE not in html
        assert "PAT-4711" not in html


def test_a_result_is_told_in_full() -> None:
    prior = {"ct_date": "20250101", "change_ml": 7.5, "change_percent": 40.0, "expanded": True}
    done = job(warnings=["thick slices"], prior=prior)
    html = shown(done=done, latest=done)
    for words in ("12.3 mL in 1 lesion<", "40 × 30 × 20", "3–7", "thick slices", "+7.5 mL (+40 %)", "meets the usual"):
        assert words in html
    assert "/jobs/abc/seg" in html and "/jobs/abc/sc" not in html
    assert 'data-again="true"' in html and 'data-job=""' in html
    assert "No hemorrhage found" in shown(done=job(lesions=()))


def test_a_job_under_way_is_followed_and_a_failed_one_explained() -> None:
    assert 'data-job="abc"' in shown(latest=job("running"))
    html = shown(latest=job("failed", error="no head"))
    assert "no head" in html and 'data-job=""' in html and 'data-again="true"' in html


def test_results_in_the_pacs_are_shown_without_a_job_of_this_server() -> None:
    info = series(2, description="AMD-DAS report", series_date="20250103", series_time="091011")
    report = Report(
        study_uid="1.2", series_uid="1.2.1", volume_ml=5.0, n_lesions=2, model_version="v0", ct_datetime=None
    )
    html = shown(stored=[(StoredResult(series=info, references=frozenset()), report)])
    for words in ("AMD-DAS report", "2025-01-03 09:10", "5.0 mL in 2 lesions", "v0", "Segment again", "/ohif/viewer?"):
        assert words in html
