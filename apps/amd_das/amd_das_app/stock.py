"""The endpoints of MONAI Label that are served as they are, behind checks of the names they are given.

Everything else of MONAI Label's is either replaced by a router of this package or not served.
"""

import re
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from monailabel.config import settings as monai_label_settings
from monailabel.endpoints import activelearning, datastore, info, login, model, proxy, scoring

from amd_das.errors import ConfigError, NotFoundError
from amd_das_app.names import check_tag, image_path, label_path, quoted
from amd_das_app.params import parse_json_object
from amd_das_app.state import State, find_task, monai_label_app, require_allowed

_CHECKSUM = re.compile(r"((SHA256|SHA512|MD5):)?[0-9a-fA-F]{1,128}")


async def check_datastore_names(request: Request, state: State) -> None:
    """Ids must exist, tags must be plain names, and metadata of scans is written only where scans may be."""
    query = request.query_params
    app = monai_label_app()
    tag = query.get("tag")
    name = query.get("image") or query.get("label") or query.get("id")
    if "/image" in request.url.path and request.method == "PUT":
        require_allowed(state.settings, "images", "changing the metadata of scans")
    if tag is not None:
        check_tag(tag)
    if name and "label" in request.url.path:
        if tag is None:
            raise ConfigError("which label is meant? send its tag, as in &tag=final")
        label_path(app.datastore(), name, tag)
    elif name:
        image_path(app.datastore(), name, app.studies)
    checksum = query.get("check_sum")
    if checksum and not _CHECKSUM.fullmatch(checksum):
        raise ConfigError(f"check_sum {quoted(checksum)}: expected SHA256:, SHA512: or MD5: and hex digits")
    if request.method == "PUT":
        form = await request.form()
        for field in ("info", "params"):
            if isinstance(text := form.get(field), str):
                parse_json_object(text, field)


async def check_strategy(strategy: str) -> None:
    """The strategy must exist."""
    known = monai_label_app()._strategies
    if strategy not in known:
        raise NotFoundError(f"no strategy {quoted(strategy)}; there are: {', '.join(known)}")


async def check_model(model: str) -> None:
    """The model must exist and be sound."""
    find_task(model)


async def check_scoring(request: Request) -> None:
    """Only methods that exist can be started; MONAI Label would start a subprocess that then fails."""
    known = monai_label_app()._scoring_methods
    name = request.path_params.get("method")
    if request.method == "POST" and (not known or (name and name not in known)):
        raise NotFoundError(f"no scoring method {quoted(name or 'at all')}; there are: {', '.join(known) or 'none'}")


_DATASTORE = (
    "api_datastore", "api_check_image", "api_download_image", "api_get_image_info", "api_put_image_info",
    "api_check_label", "api_download_label", "api_get_label_info", "api_put_label_info",
    "api_update_label_info",
)  # fmt: skip


def _only(router: APIRouter, names: Sequence[str] | None = None) -> APIRouter:
    """The routes of these names, or all of them."""
    routes = [route for route in router.routes if names is None or getattr(route, "name", "") in names]
    if names is not None and len({getattr(route, "name", "") for route in routes}) != len(set(names)):
        raise RuntimeError(
            f"MONAI Label lacks some of {', '.join(names)}; install the version in requirements-nodeps.txt"
        )
    return APIRouter(routes=routes)


def stock_router() -> APIRouter:
    """All endpoints taken from MONAI Label."""
    router = APIRouter()
    router.include_router(_only(info.router))
    router.include_router(
        _only(model.router, ("api_download_model", "api_model_info")), dependencies=[Depends(check_model)]
    )
    router.include_router(_only(activelearning.router), dependencies=[Depends(check_strategy)])
    router.include_router(_only(scoring.router), dependencies=[Depends(check_scoring)])
    router.include_router(_only(datastore.router, _DATASTORE), dependencies=[Depends(check_datastore_names)])
    if monai_label_settings.MONAI_LABEL_STUDIES.startswith(("http://", "https://")):
        router.include_router(_only(proxy.router))
    if monai_label_settings.MONAI_LABEL_AUTH_ENABLE:
        router.include_router(_only(login.router))
    return router
