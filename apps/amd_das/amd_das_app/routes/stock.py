"""The endpoints of MONAI Label that are served as they are, behind checks of the names they are given.

Everything else of MONAI Label's is either replaced by a router of this package or not served.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Depends
from monailabel.endpoints import model

from amd_das_app.monai_app import find_task


async def check_model(model: str) -> None:
    """The model must exist and be sound."""
    find_task(model)


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
    return router
