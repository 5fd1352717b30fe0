"""``/datastore``: what is written to the studies folder, validated before it lands there."""

import asyncio
import filecmp
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import FileResponse
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from starlette.background import BackgroundTask

from amd_das.errors import NotFoundError
from amd_das.reading import read_volume
from amd_das_app.access import current_user
from amd_das_app.errors import ConflictError, NotAllowedError
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.requests.images import image_at_hand
from amd_das_app.requests.labels import check_label
from amd_das_app.requests.names import (
    check_new_id,
    check_tag,
    file_extension,
    image_path,
    label_path,
    quoted,
    safe_file_name,
)
from amd_das_app.requests.params import parse_json_object
from amd_das_app.requests.uploads import save_upload, scratch_folder
from amd_das_app.state import State, require_allowed

router = APIRouter(prefix="/datastore", tags=["Datastore"])
_writing = asyncio.Lock()


def _replace_label(datastore: Datastore, image: str, label: Path, tag: str, info: dict[str, Any]) -> str:
    """Save a label; MONAI Label would leave an earlier one beside it if that has another extension."""
    if isinstance(datastore, PacsDatastore):
        return datastore.save_label(image, str(label), tag, info)
    before = datastore.get_label_uri(image, tag)
    label_id: str = datastore.save_label(image, str(label), tag, info)
    if before and before != datastore.get_label_uri(image, tag):
        Path(before).unlink(missing_ok=True)
    return label_id


@router.put("/label", summary="Save a label: a mask on the image's grid")
async def save_label(
    request: Request, state: State, image: str, tag: str = "", params: str = Form("{}"), *, label: UploadFile
) -> dict[str, Any]:
    """Accepts .nii.gz, .nii and .nrrd with the values listed in /info/; a label of the same tag is replaced."""
    app = monai_label_app()
    tag = check_tag(tag or DefaultLabelTag.FINAL.value)
    info = parse_json_object(params)
    if user := current_user(request):
        info["annotator"] = user.name
    async with image_at_hand(app, image) as scan, scratch_folder() as folder:
        path = await save_upload(label, folder)
        named = path.rename(folder / f"label{file_extension(path.name)}")
        await run_sync(check_label, named, scan, app.reading)
        async with _writing:
            label_id = await run_sync(_replace_label, app.datastore(), image, named, tag, info)
    app.on_save_label(image, label_id)
    if tag == DefaultLabelTag.FINAL.value:
        await run_sync(app.cases.turns.free, image)
        state.scorer.hurry()
    return {"image": image, "label": label_id}


def _require_folder(datastore: Datastore, what: str) -> None:
    if isinstance(datastore, PacsDatastore):
        raise NotAllowedError(f"scans are {what} the PACS itself, not through this server")


def _remove_label(datastore: Datastore, label_id: str, tag: str) -> None:
    label_path(datastore, label_id, tag)
    datastore.remove_label(label_id, tag)
    datastore.refresh()  # otherwise it is listed until the folder's watcher has noticed


def _remove_image(datastore: Datastore, image_id: str) -> None:
    datastore.remove_image(image_id)
    datastore.refresh()


@router.delete("/label", summary="Remove a label")
async def remove_label(id: str, tag: str) -> dict[str, Any]:
    """Gone for good; the scan stays."""
    async with _writing:
        await run_sync(_remove_label, monai_label_app().datastore(), id, tag)
    return {}


@router.put("/image", summary="Add a scan to the studies")
@router.put("/", include_in_schema=False)
async def add_image(state: State, image: str = "", params: str = Form("{}"), *, file: UploadFile) -> dict[str, Any]:
    """Accepts .nii.gz, .nii and .nrrd; an id in use is refused unless the file is the very same."""
    require_allowed(state.settings, "images", "adding scans")
    app = monai_label_app()
    _require_folder(app.datastore(), "added to")
    info = parse_json_object(params)
    extension = file_extension(safe_file_name(file.filename))
    image_id = check_new_id(image or safe_file_name(file.filename)[: -len(extension)])
    async with scratch_folder() as folder:
        path = await save_upload(file, folder)
        await run_sync(read_volume, path, app.reading)
        async with _writing:
            if image_id in app.datastore().list_images():
                present = image_path(app.datastore(), image_id, app.studies)
                if await run_sync(lambda: filecmp.cmp(path, present, shallow=False)):
                    return {"image": image_id}
                raise ConflictError(f"image {quoted(image_id)} exists and differs; choose another id")
            named = path.rename(folder / f"image{extension}")
            await run_sync(app.datastore().add_image, image_id, str(named), info)
    return {"image": image_id}


@router.delete("/image", summary="Remove a scan and its labels from the studies")
@router.delete("/", include_in_schema=False)
async def remove_image(state: State, id: str) -> dict[str, Any]:
    """Gone for good."""
    require_allowed(state.settings, "images", "removing scans")
    app = monai_label_app()
    _require_folder(app.datastore(), "removed from")
    image_path(app.datastore(), id, app.studies)
    async with _writing:
        await run_sync(_remove_image, app.datastore(), id)
    return {}


def _archive(datastore: Datastore, limit_cases: int | None) -> str:
    if not datastore.get_labeled_images():
        raise NotFoundError("no scan has a label tagged 'final' yet; save one with PUT /datastore/label")
    path: str = datastore.get_dataset_archive(limit_cases)
    return path


@router.get("/dataset", summary="All labelled scans with their labels, as a ZIP archive")
async def download_dataset(limit_cases: int | None = None) -> FileResponse:
    """Scans that have a label tagged "final"."""
    path = await run_sync(_archive, monai_label_app().datastore(), limit_cases)
    remove = BackgroundTask(Path(path).unlink, missing_ok=True)
    return FileResponse(path, filename="dataset.zip", media_type="application/zip", background=remove)
