"""``/infer``, ``/batch/infer`` and ``/queue``: segmenting, off the event loop."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import JSONResponse, Response
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from urllib3.filepost import encode_multipart_formdata

from amd_das.errors import ConfigError, NotFoundError, TooLargeError
from amd_das_app.inference.batch import last_job
from amd_das_app.inference.edit_task import EDIT_NAME, SCRIBBLES_NAME
from amd_das_app.inference.task import SEG_EXTENSION, TASK_NAME
from amd_das_app.monai_app import find_task, monai_label_app
from amd_das_app.requests.images import image_at_hand
from amd_das_app.requests.names import check_session_id, file_extension, quoted, safe_file_name
from amd_das_app.requests.params import parse_json_object
from amd_das_app.requests.uploads import save_image, save_upload, scratch_folder
from amd_das_app.routes.session import session_image
from amd_das_app.state import ServerState, State

router = APIRouter(tags=["Infer"])


class Output(StrEnum):
    """What an inference answers with."""

    all = "all"
    image = "image"
    json = "json"
    dicom_seg = "dicom_seg"


_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "output=all (default): multipart/form-data with `params` (JSON) and `image` (the mask); "
        "output=image: the mask file; output=json: the measurement alone; output=dicom_seg: a DICOM SEG, for DICOM",
        "content": {
            "multipart/form-data": {},
            "application/octet-stream": {},
            "application/json": {},
            "application/dicom": {},
        },
    }
}


@asynccontextmanager
async def _find_image(
    state: ServerState, folder: Path, image: str, session_id: str, file: UploadFile | None
) -> AsyncIterator[tuple[Path, str]]:
    """The scan a request means, and a name for its mask; a series from the PACS stays until the context ends."""
    if file is not None and session_id:
        raise ConfigError(
            "both a file and a session_id came; send one of them, so that it is clear which scan is meant"
        )
    if file is not None:
        path = await save_image([file], folder, state.settings)
        yield path, path.name
    elif session_id:
        path = session_image(monai_label_app(), check_session_id(session_id))
        yield path, path.name
    elif image:
        async with image_at_hand(monai_label_app(), image) as path:
            yield path, image
    else:
        raise ConfigError("no scan came; send ?image=<id>, ?session_id=<id>, or a file in the form field 'file'")


def _find_task(model: str) -> Any:
    """The task of this name; raises NotFoundError when there is none, ModelError when there is no model."""
    names = (TASK_NAME, EDIT_NAME, SCRIBBLES_NAME)
    if model not in names:
        raise NotFoundError(f"no model {quoted(model)}; there are {', '.join(names)}")
    find_task(TASK_NAME)
    return monai_label_app()._infers[model]


async def _save_label(label: UploadFile, folder: Path) -> Path:
    """A label sent along, in a folder of its own so that its name is free."""
    place = folder / "label"
    place.mkdir()
    file_extension(safe_file_name(label.filename))
    return await save_upload(label, place)


def _mask_name(case: str, extension: str) -> str:
    stem = safe_file_name(case).split(".nii")[0].split(".nrrd")[0]
    return f"{stem or 'mask'}-{uuid.uuid4().hex[:8]}{extension}"  # clients may keep several in one folder


def _answer(record: dict[str, Any], mask: Path, name: str, output: Output | None) -> Response:
    if output is Output.json:
        return JSONResponse(record)
    if output is Output.dicom_seg:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(mask.read_bytes(), media_type="application/dicom", headers=headers)
    content = mask.read_bytes()
    kind = "application/gzip" if name.endswith(".gz") else "application/octet-stream"
    if output is Output.image:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=kind, headers=headers)
    body, content_type = encode_multipart_formdata([("params", json.dumps(record)), ("image", (name, content, kind))])
    return Response(body, media_type=content_type)


@router.post("/infer/{model}", summary="Segment one scan: by id, by session or by upload", responses=_ANSWER)
async def infer(
    request: Request,
    state: State,
    model: str,
    image: str = "",
    session_id: str = "",
    output: Output | None = None,
    params: str = Form("{}"),
    file: UploadFile | None = None,
    label: UploadFile | None = None,
) -> Response:
    """``params`` is a JSON object: device, threshold, min_component_ml, sure_from, and result_extension (".nii.gz" or
    ".nrrd").

    ``amd_das_edit`` takes clicks as well, voxels [i, j, k] under "hemorrhage" (or "foreground") and "background", on
    top of the automatic result, of "start": "nothing", or of a mask sent as ``label``; ``amd_das_scribbles`` takes
    strokes as ``label`` (2 beside hemorrhage, 3 on it, 1 the mask so far; or as ``label_info`` says).
    """
    task = _find_task(model)
    chosen = task.parse(parse_json_object(params))
    if label is not None and not task.takes_label:
        raise ConfigError(f"{model} takes no label or scribbles; leave out the form field 'label'")
    extension = SEG_EXTENSION if output is Output.dicom_seg else chosen.result_extension
    asked = time.perf_counter()
    async with scratch_folder() as folder, _find_image(state, folder, image, session_id, file) as (path, case):
        fetched = time.perf_counter() - asked
        if image:
            await run_sync(monai_label_app().cases.turns.renew, image)
        mask = folder / f"mask{extension}"
        more = {} if label is None else {"label": await _save_label(label, folder)}

        def segment() -> dict[str, Any]:
            try:
                return task.segment(path, chosen, mask, **more)
            except MemoryError:
                raise TooLargeError(f"{case} needs more memory than this server has; crop it to the head") from None

        record, waited = await state.queues.run(task.device_of(chosen), segment, request.is_disconnected)
        record["latencies"] = {**record["latencies"], "fetch": round(fetched, 3), "queue": round(waited, 3)}
        return await run_sync(_answer, record, mask, _mask_name(case, extension), output)


@router.get("/queue", summary="How many inferences run and wait, per device")
async def queue(state: State) -> dict[str, Any]:
    """``{"devices": {"cpu": {"running": 1, "waiting": 2, "finished": 3}}, "max_waiting": 32}``."""
    return state.queues.state()


@router.get("/batch/infer", summary="Progress of the batch")
async def batch_status(state: State, all: bool = False, check_if_running: bool = False) -> Any:
    """The last job's record, or all of them."""
    return last_job(state.batch, everything=all, only_running=check_if_running)


@router.post("/batch/infer/{model}", summary="Segment many scans and save the masks as labels")
async def batch_run(
    state: State,
    model: str,
    images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
    params: dict[str, Any] | None = None,
    run_sync: bool = False,
) -> Any:
    """One job at a time; single requests are served in between. Only the automatic model: nobody clicks in a batch."""
    job = await state.batch.start(monai_label_app(), find_task(model), images, params or {})
    if run_sync:
        await state.batch.wait()
    return job


@router.delete("/batch/infer", summary="Stop the batch after the scan it is at")
async def batch_stop(state: State) -> Any:
    """The stopped job's record, or null when none was running."""
    return await state.batch.stop()
