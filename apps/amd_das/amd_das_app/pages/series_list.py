"""The series of the PACS on the start page."""

from html import escape
from typing import Final

from amd_das.pacs.series import SeriesInfo
from amd_das_app.pacs.listing import Listing
from amd_das_app.pages.frame import table
from amd_das_app.routes.ohif import viewer_address

SHOWN: Final = 50
"""The newest series; all are in the viewer's study list (ours)."""


def moment(date: str, time: str = "") -> str:
    """DICOM's date and time as people write them; whatever else came stays as it is."""
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date
    clock = f"{time[:2]}:{time[2:4]}" if time[:4].isdigit() and len(time) >= 4 else ""
    return f"{day} {clock}".strip() or "no date"


def series_address(series: SeriesInfo) -> str:
    """Path of a series' page."""
    return f"/series/{series.study_uid}/{series.series_uid}"


def series_list(listing: Listing) -> str:
    """HTML: the newest series first, without anything that names the patient."""
    series = sorted(
        listing.images.values(), key=lambda one: (one.study_date, one.study_time, one.series_uid), reverse=True
    )
    rows = [
        (
            escape(moment(one.study_date, one.study_time)),
            f'<a href="{escape(series_address(one))}">{escape(one.description or "CT")}</a>',
            str(one.instances or ""),
            _outlined(one.series_uid, listing),
            f'<a href="{escape(viewer_address(one.study_uid))}">OHIF</a>',
        )
        for one in series[:SHOWN]
    ]
    more = len(series) - len(rows)
    rest = f'<p>{more} older series are in the <a href="/ohif/">viewer\'s study list</a>.</p>' if more > 0 else ""
    return table(("Study", "Series", "Slices", "Outlined", "Open in"), rows) + rest


def _outlined(series_uid: str, listing: Listing) -> str:
    by = [("AMD-DAS", series_uid in listing.segmented), ("a person", series_uid in listing.labels)]
    return " and ".join(f"by {who}" for who, did in by if did)
