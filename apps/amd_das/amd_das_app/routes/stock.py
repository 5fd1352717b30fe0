"""The endpoints of MONAI Label that are served as they are, behind checks of the names they are given.

Everything else of MONAI Label's is either replaced by a router of this package or not served.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from monailabel.config import settings as monai_label_settings
from monailabel.endpoints import login, model, scoring

from amd_das.errors import NotFoundError
from amd_das_app.requests.names import quoted
from amd_das_app.state import find_task, monai_label_app


async def check_model(model: str) -> None:
    """The model must exist and be sound."""
    find_task(model)


async def check_scoring(request: Request) -> None:
    """Only methods that exist can be started; MONAI Label would start a subprocess that then fails."""
    known = monai_label_app()._scoring_methods
    name = request.path_params.get("method")
    if request.method == "POST" and (not known or (name and name not in known)):
        raise NotFoundError(f"no scoring method {quoted(name or 'at all')}; there are: {', '.join(known) or 'none'}")


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
    router.include_router(
        _only(model.router, ("api_download_model", "api_model_info")), dependencies=[Depends(check_model)]
    )
    router.include_router(_only(scoring.router), dependencies=[Depends(check_scoring)])
    if monai_label_settings.MONAI_LABEL_AUTH_ENABLE:
        router.include_router(_only(login.router))
    return router
