"""``/worklist`` and ``/scoring``: what the model thinks of each scan, and who looks at which."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, Depends
from fastapi.responses import Response

from amd_das.errors import NotFoundError
from amd_das_app.requests.images import require_image
from amd_das_app.requests.names import quoted
from amd_das_app.state import ServerState, State, monai_label_app
from amd_das_app.worklist.case_scores import CaseScores
from amd_das_app.worklist.scoring_method import SCORING_NAME

router = APIRouter()


def _known_image(image: str) -> str:
    require_image(monai_label_app(), image)
    return image


Image = Annotated[str, Depends(_known_image)]
"""Id of a scan that exists; in the path."""


def _cases() -> CaseScores:
    cases: CaseScores = monai_label_app().cases
    return cases


@router.get("/worklist/", tags=["Worklist"], summary="Every scan: predicted volume, uncertainty, status, agreement")
def worklist() -> dict[str, Any]:
    """``cases`` is sorted by id; null is "not known yet"."""
    app = monai_label_app()
    version = app.model_version()
    return {"model_version": version, "cases": [asdict(row) for row in _cases().rows(app.datastore(), version)]}


@router.get("/worklist/{image}/thumbnail.png", tags=["Worklist"], summary="The slice with the largest outline")
def thumbnail(image: Image) -> Response:
    """404 until the scan is scored."""
    picture = _cases().thumbnail(image, monai_label_app().model_version())
    if not picture:
        raise NotFoundError(f"{quoted(image)} has no picture yet; scans are scored in the background")
    return Response(picture, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


@router.post("/worklist/{image}/skip", tags=["Worklist"], summary="Hand this scan to nobody")
def skip(image: Image, client_id: str = "") -> dict[str, Any]:
    """Until it is taken back with DELETE; it can still be opened and labelled."""
    _cases().turns.skip(image, client_id[:200])
    return {"image": image, "status": "skipped"}


@router.delete("/worklist/{image}/skip", tags=["Worklist"], summary="Put a skipped or taken scan back into the list")
def unskip(image: Image) -> dict[str, Any]:
    """Also frees one that somebody has taken."""
    _cases().turns.free(image)
    return {"image": image, "status": "new"}


def _scoring_record(state: ServerState) -> dict[str, Any]:
    scorer = state.scorer
    missing = scorer.open_images()
    rows = _cases().rows(monai_label_app().datastore(), monai_label_app().model_version())
    compared = [row for row in rows if row.dice is not None]
    mean = sum(row.dice or 0.0 for row in compared) / len(compared) if compared else None
    words = f"{len(rows) - len(missing)} of {len(rows)} scans are scored, {len(compared)} against their final label"
    return {
        "id": SCORING_NAME,
        "status": "RUNNING" if missing else "DONE",
        "details": [words, *([f"mean Dice {mean:.3f}"] if mean is not None else [])],
        "cases": [asdict(row) for row in compared],
    }


@router.get("/scoring/", tags=["Scoring"], summary="How far the scoring is, and each comparison with a final label")
async def scoring_status(state: State, all: bool = False, check_if_running: bool = False) -> Any:
    """In the shape of MONAI Label's records; ``all``: as a list."""
    record = await in_thread(_scoring_record, state)
    if check_if_running and record["status"] != "RUNNING":
        raise NotFoundError("no scoring is at work; scans are scored when they come, and again under a new model")
    return [record] if all else record


@router.post("/scoring/", include_in_schema=False)
@router.post("/scoring/{method}", tags=["Scoring"], summary="Compare with the final labels again")
async def scoring_run(
    state: State, method: str = SCORING_NAME, params: Mapping[str, Any] | None = None, run_sync: bool = False
) -> Any:
    """Done in the background, while nobody waits for an inference."""
    if method != SCORING_NAME:
        raise NotFoundError(f"no scoring method {quoted(method)}; there is {SCORING_NAME!r}")
    await in_thread(_cases().store.forget_labels, monai_label_app().model_version())
    return await in_thread(_scoring_record, state)


@router.delete("/scoring/", tags=["Scoring"], summary="Nothing to stop: scoring gives way to everything else")
async def scoring_stop(state: State) -> Any:
    """The record."""
    return await in_thread(_scoring_record, state)
