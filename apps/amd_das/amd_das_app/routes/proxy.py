"""``/proxy/dicom``: the PACS for the OHIF viewer, reading only, with this server's credentials."""

import logging
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from amd_das.errors import NotFoundError, PacsError, PacsUnreachableError
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.connection import CONNECT_SECONDS, authorization, status_error
from amd_das_app.monai_app import monai_label_app

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/proxy/dicom", include_in_schema=False)

_UID: Final = r"[0-9]+(\.[0-9]+)*"
_PATH: Final = re.compile(
    rf"(studies(/{_UID}(/series(/{_UID}(/instances(/{_UID}(/frames/[0-9]+(,[0-9]+)*)?)?)?)?)?)?"
    rf"|series|instances)(/(metadata|rendered|thumbnail|bulk(data)?(/[0-9A-Za-z]+)*))?"
)
"""Resources of QIDO-RS and WADO-RS, DICOM PS3.18; nothing else of the PACS can be reached."""

_ASKED: Final = ("accept", "if-modified-since", "if-none-match", "range")
_ANSWERED: Final = (
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "warning",
)
"""Headers that are passed on; all others belong to one of the two connections, or to nobody here."""

_PASSED: Final = (200, 204, 206, 304)


def _client(state: Any, config: PacsConfig) -> httpx.AsyncClient:
    """One for the server's life; it connects when first used."""
    if getattr(state, "proxy_client", None) is None:
        state.proxy_client = httpx.AsyncClient(
            timeout=httpx.Timeout(config.timeout_s, connect=CONNECT_SECONDS, pool=config.timeout_s),
            limits=httpx.Limits(max_connections=64, keepalive_expiry=0.5),  # Orthanc closes after a second
            follow_redirects=False,
        )
    client: httpx.AsyncClient = state.proxy_client
    return client


async def close_proxy(state: Any) -> None:
    """Close its connections."""
    if getattr(state, "proxy_client", None) is not None:
        await state.proxy_client.aclose()


@router.get("/wado/{path:path}")
@router.get("/qido/{path:path}")
async def read(request: Request, path: str) -> StreamingResponse:
    """The PACS's answer, piece by piece as it comes."""
    if not _PATH.fullmatch(path):
        raise NotFoundError("only DICOMweb's studies, series and instances are passed on to the PACS")
    config: PacsConfig = monai_label_app().datastore().web.config
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    headers |= {"Accept-Encoding": request.headers.get("accept-encoding", "identity"), **authorization(config)}
    url = httpx.URL(f"{config.root}/{path}", query=request.url.query.encode() or None)
    client = _client(request.app.state, config)
    where = f"the PACS at {config.shown}"
    try:
        answer = await client.send(client.build_request("GET", url, headers=headers), stream=True)
    except httpx.TimeoutException as error:
        raise PacsUnreachableError(f"{where} did not answer within {config.timeout_s:g} s; try again later") from error
    except httpx.TransportError as error:
        raise PacsUnreachableError(f"{where} is unreachable; check that it runs, and its address") from error
    if answer.status_code not in _PASSED:
        await answer.aclose()
        if answer.is_redirect:
            raise PacsError(f"{where} sends elsewhere; give the address it sends to")
        raise status_error(config, answer.status_code, "this")
    passed = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    return StreamingResponse(_pieces(answer), status_code=answer.status_code, headers=passed)


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
