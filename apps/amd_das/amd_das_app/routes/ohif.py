"""``/ohif/``: the OHIF viewer that MONAI Label brings along, with this server as its own."""

import json
from pathlib import Path
from typing import Final
from urllib.parse import quote

import monailabel
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import NotFoundError

OHIF: Final = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"

_CONFIGURATION: Final = Path(__file__).resolve().parents[1] / "pages" / "ohif.js"

_POLICY: Final = "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"
"""Scripts of its own only: it would fetch fonts from elsewhere, which tells others who looks at scans."""

_SERVER_COOKIE: Final = "MONAILABEL_SERVER_URL"
"""Where its MONAI Label panel looks for the server; without it that is port 8000."""


def viewer_address(study_uid: str) -> str:
    """Path and query that open a study in the viewer, with the MONAI Label panel."""
    return f"/ohif/monai-label?StudyInstanceUIDs={study_uid}"


def results_address(study_uid: str) -> str:
    """Path and query that open a study where SEGs can be loaded over their CT."""
    return f"/ohif/viewer?StudyInstanceUIDs={study_uid}"


def ohif_router(*, has_pacs: bool) -> APIRouter:
    """The viewer's files; every other address below is one of its pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ohif/app-config.js")
    def configuration() -> Response:
        text = f"const NOTICE = {json.dumps(RESEARCH_NOTICE)};\n{_CONFIGURATION.read_text()}"
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @router.get("/ohif/{path:path}")
    async def ohif(request: Request, path: str) -> FileResponse:
        if not has_pacs:
            raise NotFoundError("the OHIF viewer needs a DICOMweb server as studies; this server has a folder")
        file = (OHIF / path).resolve()
        if file.is_relative_to(OHIF.resolve()) and file.is_file() and file.name != "index.html":
            return FileResponse(file)
        page = FileResponse(OHIF / "index.html", headers={"Content-Security-Policy": _POLICY})
        page.set_cookie(_SERVER_COOKIE, quote(str(request.base_url), safe=""), path="/ohif", samesite="strict")
        return page

    return router
