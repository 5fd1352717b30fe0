"""``/worklist``, ``/activelearning`` and ``/scoring``: what the model thinks of each scan, and who looks at which."""

from dataclasses import asdict
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from monailabel.endpoints import activelearning

from amd_das.errors import NotFoundError
from amd_das_app.monai_app import monai_label_app
from amd_das_app.requests.images import require_image
from amd_das_app.requests.names import check_tag, quoted
from amd_das_app.state import ServerState, State
from amd_das_app.worklist.annotators import annotator_of
from amd_das_app.worklist.case_scores import CaseScores
from amd_das_app.worklist.scoring_method import SCORING_NAME, DiceVolume

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
def skip(request: Request, image: Image, client_id: str = "") -> dict[str, Any]:
    """Until it is taken back with DELETE; it can still be opened and labelled."""
    _cases().turns.skip(image, annotator_of(request, client_id))
    return {"image": image, "status": "skipped"}


@router.delete("/worklist/{image}/skip", tags=["Worklist"], summary="Put a skipped or taken scan back into the list")
def unskip(image: Image) -> dict[str, Any]:
    """Also frees one that somebody has taken."""
    _cases().turns.free(image)
    return {"image": image, "status": "new"}


@router.post("/activelearning/{strategy}", tags=["ActiveLearning"], summary="The next scan to label")
def next_sample(request: Request, strategy: str, params: dict[str, Any] | None = None) -> Any:
    """It is handed to nobody else for a while; who asks is told by log-in, or by ``client_id`` in the params.

    An empty object when every scan has a label, or is skipped, or taken by others.
    """
    known = monai_label_app()._strategies
    if strategy not in known:
        raise NotFoundError(f"no strategy {quoted(strategy)}; there are: {', '.join(known)}")
    given = dict(params or {})
    if tag := given.get("label_tag"):
        given["label_tag"] = check_tag(str(tag))
    name = given.get("client_id")
    given["client_id"] = annotator_of(request, name if isinstance(name, str) else "")
    return activelearning.sample(strategy, {**given, "strategy": strategy, "labels": None})


def _scoring_record(state: ServerState) -> dict[str, Any]:
    app = monai_label_app()
    method: DiceVolume = app._scoring_methods[SCORING_NAME]
    missing, compared = len(state.scorer.open_images()), method.compared(app.datastore())
    result = method({}, app.datastore())
    total = len(app.datastore().list_images())
    words = f"{missing} of {total} scans wait to be scored; {len(compared)} are compared with their final label"
    mean = result["mean_dice"]
    return {
        "id": SCORING_NAME,
        "status": "RUNNING" if missing else "DONE",
        "details": [words, *([f"mean Dice {mean:.3f}"] if mean is not None else [])],
        "result": result,
    }


@router.get("/scoring/", tags=["Scoring"], summary="How far the scoring is, and each comparison with a final label")
def scoring_status(state: State, all: bool = False, check_if_running: bool = False) -> Any:
    """In the shape of MONAI Label's records; ``all``: as a list."""
    record = _scoring_record(state)
    if check_if_running and record["status"] != "RUNNING":
        raise NotFoundError("no scoring is at work; scans are scored when they come, and again under a new model")
    return [record] if all else record


@router.post("/scoring/", include_in_schema=False)
@router.post("/scoring/{method}", tags=["Scoring"], summary="Compare with the final labels again")
async def scoring_run(state: State, method: str = SCORING_NAME) -> Any:
    """Done in the background, while nobody segments; GET tells how far it is."""
    if method != SCORING_NAME:
        raise NotFoundError(f"no scoring method {quoted(method)}; there is {SCORING_NAME!r}")
    await run_sync(_cases().store.forget_labels, monai_label_app().model_version())
    state.scorer.hurry()
    return await run_sync(_scoring_record, state)


@router.delete("/scoring/", tags=["Scoring"], summary="Nothing to stop: scoring gives way to everything else")
def scoring_stop(state: State) -> Any:
    """The record."""
    return _scoring_record(state)
