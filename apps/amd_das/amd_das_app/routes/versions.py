"""``/models``: the model's versions, which one is in use, taking up another, and removing one."""

import logging
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request

from amd_das.errors import ModelError
from amd_das.models import default_model_dir, list_versions, load_version, read_info, remove_version, use_version
from amd_das_app.dashboard.rights import rights_of
from amd_das_app.errors import ConflictError
from amd_das_app.inference.model_choice import model_choice
from amd_das_app.monai_app import monai_label_app

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/models", tags=["Model"])


def _describe(version: str, current: str | None) -> dict[str, Any]:
    about: dict[str, Any] = {"version": version, "in_use": version == current}
    try:
        info = read_info(default_model_dir(), version)
    except ModelError as error:
        return about | {"error": str(error)}
    return about | {"checksum": info.checksum, "metrics": dict(info.metrics), "training": dict(info.training)}


@router.get("/", summary="The model's versions, oldest first, and which one is in use")
def listed() -> dict[str, Any]:
    """``reason`` among the metrics says why a version was published, or was not."""
    current = model_choice()
    return {"in_use": current, "versions": [_describe(one, current) for one in list_versions(default_model_dir())]}


def _use(version: str) -> None:
    if version in list_versions(default_model_dir()):
        load_version(default_model_dir(), version)  # a damaged one is refused while the other still serves
    before = model_choice()
    use_version(default_model_dir(), version)
    logger.info("model version %s is put to use in place of %s", version, before or "none")


@router.post("/{version}/use", summary="Put a version to use: publish it, or roll back to it")
async def use(request: Request, version: str) -> dict[str, Any]:
    """Segmentations under way end with the version that they began with."""
    rights_of(request).require("POST", "/models/{version}/use")
    await run_sync(_use, version)
    await run_sync(monai_label_app().reload_model)
    return {"in_use": version}


def _remove(version: str) -> None:
    if version == model_choice():
        raise ConflictError(f"model version {version!r} is in use; put another to use first")
    remove_version(default_model_dir(), version)
    logger.info("model version %s is removed", version)


@router.delete("/{version}", summary="Remove a version that is not in use")
async def remove(request: Request, version: str) -> dict[str, Any]:
    """Gone for good."""
    rights_of(request).require("DELETE", "/models/{version}")
    await run_sync(_remove, version)
    return {"removed": version}
