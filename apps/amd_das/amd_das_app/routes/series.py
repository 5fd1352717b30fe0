"""``/series/{study}/{series}``: a page for people who want the result of a series in the PACS."""

import logging
from html import escape
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from amd_das.errors import AmdDasError, NotFoundError, NotHeadCtError, PacsError
from amd_das.output.dicom import Report, read_report
from amd_das.pacs.series import StoredResult, is_uid
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.pages.frame import page
from amd_das_app.pages.series_page import SeriesView, series_page
from amd_das_app.requests.names import quoted
from amd_das_app.state import ServerState, State

logger = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

MAX_STORED: Final = 10
"""Results in the PACS that are shown, the newest (ours)."""

_LOOKED_AT: Final = 20
"""Jobs of a series among which the newest with a result is sought (ours)."""


@router.get("/series/{study}/{series}")
def show_series(state: State, study: str, series: str) -> HTMLResponse:
    """The page, or one that says why not."""
    try:
        return series_page(_view(state, study, series))
    except AmdDasError as error:
        body = f'<p class="error">{escape(str(error))}</p><p><a href="/">All series</a></p>'
        return page("AMD-DAS", body, status=error.status)


def _view(state: ServerState, study: str, series: str) -> SeriesView:
    datastore = monai_label_app().datastore()
    if not isinstance(datastore, PacsDatastore) or state.series_jobs is None:
        raise NotFoundError("this server's studies are a folder; series have pages where a PACS is behind the server")
    if not (is_uid(study) and is_uid(series)):
        raise NotFoundError(f"no series {quoted(series)} in the PACS")
    found = datastore.web.find_series(series, study)
    if found.modality != "CT":
        raise NotHeadCtError(f"series {quoted(series)} has modality {quoted(found.modality)}, expected CT")
    stored = datastore.web.results_for(found)[:MAX_STORED]
    jobs = state.series_jobs.store.list(limit=_LOOKED_AT, study_uid=study, series_uid=series)
    return SeriesView(
        series=found,
        stored=[(one, _report(datastore, one)) for one in stored],
        latest=next(iter(jobs), None),
        done=next((job for job in jobs if job.state == "done"), None),
    )


def _report(datastore: PacsDatastore, one: StoredResult) -> Report | None:
    """What a report says; None for what is none, or cannot be read now."""
    if one.series.modality != "SR":
        return None
    try:
        return next((found for dataset in datastore.web.read(one.series) if (found := read_report(dataset))), None)
    except (PacsError, NotFoundError) as error:
        logger.warning("%s, a report, cannot be read: %s", one.series.case_id, error)
        return None
