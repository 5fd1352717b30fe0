"""``/studies/…/segment`` and ``/jobs``: series of the PACS segmented without a viewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError, NotFoundError, NotHeadCtError
from amd_das.output.dicom import DICOM_FORMATS
from amd_das.pacs.job import STATES, PacsJob
from amd_das.pacs.series import SeriesInfo, is_uid
from amd_das_app.errors import BadNameError, BusyError, ConflictError
from amd_das_app.inference.task import TASK_NAME
from amd_das_app.monai_app import find_task, monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.pacs.series_jobs import SeriesJobs
from amd_das_app.pacs.series_results import MEDIA_TYPES
from amd_das_app.requests.names import quoted
from amd_das_app.requests.params import parse_json_object
from amd_das_app.state import ServerState, State

router = APIRouter(tags=["Jobs"])

MAX_LISTED: Final = 1000
MAX_QUEUED: Final = 1000
"""Jobs that may wait (ours)."""

_FILES: Final[Mapping[str, str]] = {
    "seg": "seg.dcm",
    "sr": "sr.dcm",
    "sc": "sc.zip",
    "overlay.png": "overlay.png",
    "result.json": "result.json",
}
"""Last part of the address → file of the result."""


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What a client may choose."""

    formats: tuple[str, ...] = DICOM_FORMATS
    store: bool = False
    """Put the DICOM objects into the PACS."""

    force: bool = False
    """Do it again though it has been done."""

    @property
    def options(self) -> dict[str, Any]:
        """What makes two jobs the same."""
        return {"formats": list(self.formats), "store": self.store}


def parse_segment_request(text: str) -> SegmentRequest:
    """The body of a request, empty or a JSON object; raises ConfigError."""
    given = parse_json_object(text, "the body")
    if unknown := sorted(given.keys() - set(SegmentRequest.__dataclass_fields__)):
        known = ", ".join(SegmentRequest.__dataclass_fields__)
        raise ConfigError(f"the body holds unknown {', '.join(map(quoted, unknown))}; allowed: {known}")
    for key in ("store", "force"):
        if not isinstance(given.get(key, False), bool):
            raise ConfigError(f"the body: {key!r} should be true or false")
    formats = given.get("formats", list(DICOM_FORMATS))
    if not isinstance(formats, list) or not formats or not all(one in DICOM_FORMATS for one in formats):
        raise ConfigError(f"the body: 'formats' should be a list of some of {', '.join(DICOM_FORMATS)}")
    return SegmentRequest(
        formats=tuple(one for one in DICOM_FORMATS if one in formats),
        store=given.get("store", False),
        force=given.get("force", False),
    )


def _series_jobs(state: ServerState) -> SeriesJobs:
    if state.series_jobs is None:
        raise ConflictError(
            "this server's studies are a folder, and jobs are for series of a PACS; start it with make serve "
            "STUDIES=http://<host>/dicom-web, or segment a scan of the folder with POST /infer/amd_das?image=<id>"
        )
    return state.series_jobs


def _checked_uid(uid: str, what: str) -> str:
    if not is_uid(uid):
        raise BadNameError(f"{what} {quoted(uid)}: expected a DICOM UID, digits and dots, at most 64 characters")
    return uid


def _find(study: str, series: str | None) -> Sequence[SeriesInfo]:
    """The series meant; raises NotFoundError, NotHeadCtError or PacsError."""
    datastore = monai_label_app().datastore()
    assert isinstance(datastore, PacsDatastore)
    if series is None:
        found = datastore.web.ct_series(study)
        if not found:
            raise NotFoundError(f"no CT series in study {quoted(study)} of the PACS")
        return sorted(found, key=lambda one: one.series_uid)
    one = datastore.web.find_series(series, study)
    if one.modality != "CT":
        raise NotHeadCtError(f"series {quoted(series)} has modality {quoted(one.modality)}, expected CT")
    return [one]


async def _submit(state: ServerState, request: Request, study: str, series: str | None) -> list[dict[str, Any]]:
    jobs = _series_jobs(state)
    _checked_uid(study, "study")
    if series is not None:
        _checked_uid(series, "series")
    wish = parse_segment_request((await request.body()).decode(errors="replace"))
    version = find_task(TASK_NAME).model.info.version
    found = await run_sync(_find, study, series)
    if await run_sync(jobs.store.count, "queued") + len(found) > MAX_QUEUED:
        raise BusyError(f"{MAX_QUEUED} jobs are waiting, the most there may be; try again in a while")
    answers = []
    for one in found:
        job, new = await run_sync(partial(jobs.submit, one, version, wish.options, force=wish.force))
        answers.append({**await run_sync(_describe, jobs, job), "new": new})
    jobs.wake()
    return answers


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _describe(jobs: SeriesJobs, job: PacsJob) -> dict[str, Any]:
    """A job as clients see it."""
    links = {"self": f"/jobs/{job.id}"}
    if job.state == "done":
        wanted = (*job.options["formats"], "overlay.png", "result.json")
        links |= {name: f"/jobs/{job.id}/{name}" for name in wanted}
    return {
        "id": job.id,
        "state": job.state,
        "position": jobs.store.position(job.id),
        "study": job.study_uid,
        "series": job.series_uid,
        "model_version": job.model_version,
        "options": dict(job.options),
        "attempts": job.attempts,
        "submitted": _time(job.submitted),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "result": job.result,
        "error": {"error": job.error_code, "detail": job.error} if job.error else None,
        "links": links,
        "notice": RESEARCH_NOTICE,
    }


@router.post("/studies/{study}/series/{series}/segment", status_code=202, summary="Segment a series of the PACS")
async def segment_series(request: Request, state: State, study: str, series: str) -> JSONResponse:
    """Answers at once with the job. JSON body, optional: ``store`` (put the result into the PACS), ``formats``
    (some of seg, sr, sc), ``force``. The same series, model version and options give the same job unless forced."""
    (job,) = await _submit(state, request, study, series)
    return JSONResponse(job, 202, {"Location": job["links"]["self"]})


@router.post("/studies/{study}/segment", status_code=202, summary="Segment every CT series of a study of the PACS")
async def segment_study(request: Request, state: State, study: str) -> JSONResponse:
    """A job for each CT series but localizers and the like: which of thin, thick, soft and bone is wanted is not
    for the server to guess. Body as for a series."""
    jobs = await _submit(state, request, study, None)
    location = jobs[0]["links"]["self"] if len(jobs) == 1 else f"/jobs?study={study}"
    return JSONResponse({"jobs": jobs}, 202, {"Location": location})


@router.get("/jobs", summary="Jobs on series of the PACS, newest first")
async def list_jobs(
    state: State, study: str | None = None, series: str | None = None, status: str | None = None, limit: int = 100
) -> dict[str, Any]:
    """``status``: queued, running, done or failed."""
    jobs = _series_jobs(state)
    if status is not None and status not in STATES:
        raise ConfigError(f"status {quoted(status)}: expected one of {', '.join(STATES)}")
    if not 1 <= limit <= MAX_LISTED:
        raise ConfigError(f"limit {limit}: expected 1 to {MAX_LISTED}")

    def listed() -> list[dict[str, Any]]:
        found = jobs.store.list(status, limit, study_uid=study, series_uid=series)
        return [_describe(jobs, job) for job in found]

    return {"jobs": await run_sync(listed)}


@router.get("/jobs/{job_id}", summary="State, place in the line, result and links of a job")
async def show_job(state: State, job_id: str) -> dict[str, Any]:
    """``position`` is 1 for the next job; ``error`` of a queued job says why it is tried again."""
    jobs = _series_jobs(state)
    return await run_sync(lambda: _describe(jobs, jobs.store.get(job_id)))


@router.delete("/jobs/{job_id}", summary="Drop a job that waits")
async def drop_job(state: State, job_id: str) -> dict[str, Any]:
    """409 for one that has begun."""
    jobs = _series_jobs(state)
    if not await run_sync(jobs.store.remove, job_id):
        job = await run_sync(jobs.store.get, job_id)
        raise ConflictError(f"the job is {job.state}; only one that waits can be dropped")
    return {"id": job_id, "removed": True}


@router.get("/jobs/{job_id}/{name}", summary="A job's result: seg, sr, sc (zip), overlay.png, result.json")
async def result_file(state: State, job_id: str, name: str) -> Response:
    """404 for what was not asked for, 409 while the job is not done."""
    jobs = _series_jobs(state)
    job = await run_sync(jobs.store.get, job_id)
    if name not in _FILES:
        raise NotFoundError(f"no {quoted(name)} of a job; there are: {', '.join(_FILES)}")
    if job.state != "done":
        raise ConflictError(f"the job is {job.state}" + (f": {job.error}" if job.error else "; it has no result yet"))
    headers = {"Cache-Control": "private, no-store"}
    if name == "result.json":
        return JSONResponse(job.result, headers=headers)
    file = await run_sync(jobs.results.file, job.id, _FILES[name])
    return FileResponse(
        file,
        media_type=MEDIA_TYPES[file.name],
        filename=f"{job.id[:8]}-{file.name}",
        content_disposition_type="inline" if name == "overlay.png" else "attachment",
        headers=headers,
    )
