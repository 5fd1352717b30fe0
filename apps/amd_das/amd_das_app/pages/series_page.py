"""What the page of one series says: what the PACS holds of ours, what the last job found, and the button."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from fastapi.responses import HTMLResponse

from amd_das.output.dicom import Report
from amd_das.pacs.job import PacsJob
from amd_das.pacs.series import SeriesInfo, StoredResult
from amd_das_app.pages.frame import page, table
from amd_das_app.pages.series_list import moment
from amd_das_app.routes.ohif import results_address, viewer_address

_KINDS = {"SEG": "Segmentation", "SR": "Report"}
_FILES = {"seg": "segmentation (SEG)", "sr": "report (SR)", "sc": "pictures (SC, zip)", "result.json": "JSON"}


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """All that is shown."""

    series: SeriesInfo
    stored: Sequence[tuple[StoredResult, Report | None]]
    """Ours in the PACS, newest first, and what the reports among them say."""

    latest: PacsJob | None = None
    """The newest job."""

    done: PacsJob | None = None
    """The newest job that has a result."""


def series_page(view: SeriesView) -> HTMLResponse:
    """The page."""
    series = view.series
    body = (
        f"<p>CT of {escape(moment(series.study_date, series.study_time))}, {series.instances} slices. "
        f'<a href="{escape(viewer_address(series.study_uid))}">Open in OHIF</a> · <a href="/">All series</a></p>'
        f"{_button(view)}{_result(view.done)}<h2>In the PACS</h2>{_stored(view)}{_picture(view.done)}"
    )
    return page(series.description or "CT", body, script="series.js")


def _button(view: SeriesView) -> str:
    latest = view.latest
    is_over = latest is not None and latest.state in ("done", "failed")
    address = f"/studies/{view.series.study_uid}/series/{view.series.series_uid}/segment"
    going_on = "" if latest is None or is_over else latest.id
    failed = (
        f'<p class="error">It could not be segmented: {escape(latest.error)}</p>'
        if latest is not None and latest.state == "failed"
        else ""
    )
    return (
        f'{failed}<p><button id="segment" data-address="{escape(address)}" data-job="{escape(going_on)}" '
        f'data-again="{str(is_over).lower()}">Segment {"again " if view.stored else ""}and store in the PACS</button>'
        '<span id="progress" role="status"></span></p><noscript><p>The button needs JavaScript.</p></noscript>'
    )


def _result(job: PacsJob | None) -> str:
    if job is None or job.result is None:
        return ""
    found = job.result
    lesions = found["lesions"]
    amount = f"{found['volume_ml']:.1f} mL in {_count(len(lesions), 'lesion')}" if lesions else "No hemorrhage found"
    when = datetime.fromtimestamp(job.finished or job.submitted).strftime("%Y-%m-%d %H:%M")
    warnings = "".join(f"<li>{escape(one)}</li>" for one in found["warnings"])
    links = [
        f'<a href="/jobs/{job.id}/{name}">{escape(label)}</a>'
        for name, label in _FILES.items()
        if name in (*job.options["formats"], "result.json")
    ]
    kept = "stored in the PACS" if found.get("stored") else "not stored in the PACS"
    return (
        f'<h2>Result</h2><p class="large" id="volume">{escape(amount)}</p>{_change(found.get("prior"))}'
        f"<p>Model {escape(found['model']['version'])}, {when}, {kept}. Files: {' · '.join(links)}</p>"
        + (f"<p>Warnings:</p><ul>{warnings}</ul>" if warnings else "")
        + _lesions(lesions)
    )


def _picture(job: PacsJob | None) -> str:
    if job is None:
        return ""
    return f'<h2>Picture</h2><img class="overlay" src="/jobs/{job.id}/overlay.png" alt="the outline on the slices">'


def _change(prior: Mapping[str, Any] | None) -> str:
    if not prior:
        return ""
    percent = "" if prior["change_percent"] is None else f" ({prior['change_percent']:+.0f} %)"
    meets = "meets" if prior["expanded"] else "does not meet"
    return (
        f"<p>{prior['change_ml']:+.1f} mL{percent} since the CT of {escape(moment(prior['ct_date'] or ''))}: "
        f"{meets} the usual definition of expansion (&gt; 6 mL or &gt; 33 %).</p>"
    )


def _lesions(lesions: Sequence[Mapping[str, Any]]) -> str:
    head = ("Lesion", "Volume, mL", "ABC/2, mL", "A × B × C, mm", "Mean, HU", "Side", "Slices, from 0")
    rows = [
        (
            str(one["label"]),
            f"{one['volume_ml']:.1f}",
            f"{one['abc2_ml']:.1f}",
            " × ".join(f"{one['diameters_mm'][axis]:.0f}" for axis in "abc"),
            f"{one['mean_hu']:.0f}",
            escape(str(one["side"])),
            "–".join(dict.fromkeys(str(number) for number in one["bounding_slices"])),
        )
        for one in lesions
    ]
    return table(head, rows)


def _stored(view: SeriesView) -> str:
    rows = [
        (
            escape(_KINDS.get(one.series.modality, one.series.modality)),
            escape(one.series.description),
            escape(moment(*one.when)),
            f"{report.volume_ml:.1f} mL in {_count(report.n_lesions, 'lesion')}" if report else "",
            escape(report.model_version) if report else "",
        )
        for one, report in view.stored
    ]
    if not rows:
        return "<p>Nothing of AMD-DAS yet.</p>"
    address = escape(results_address(view.series.study_uid))
    return (
        table(("Kind", "Series", "Made", "Volume", "Model"), rows)
        + f'<p><a href="{address}">Look at it in OHIF</a>: there, click <em>AMD-DAS segmentation</em> twice.</p>'
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
