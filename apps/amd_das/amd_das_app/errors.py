"""Every refusal as JSON: ``{"error": code, "detail": what came, what was expected, what to do}``."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from amd_das.errors import AmdDasError, InputError, PacsUnreachableError

logger = logging.getLogger(__name__)


class BadNameError(InputError):
    """A name that could point elsewhere: an id, tag or file name with a path in it."""

    status = 400
    code = "bad_name"


class NotAllowedError(AmdDasError):
    """Switched off unless the server's owner asks for it."""

    status = 403
    code = "not_allowed"


class ConflictError(AmdDasError):
    """The request fits the server's rules but not its present state."""

    status = 409
    code = "conflict"


class BusyError(AmdDasError):
    """Too many requests are waiting; try again later."""

    status = 429
    code = "busy"


_CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorised",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_allowed",
    413: "too_large",
    429: "busy",
}
_MONAI_LABEL_STATUS: Mapping[MONAILabelError, int] = {MONAILabelError.INVALID_INPUT: 400}


def refusal(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The one shape of all errors."""
    return JSONResponse({"error": code, "detail": detail}, status_code=status, headers=dict(headers or {}))


async def _on_amd_das_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AmdDasError)
    logger.info("%s %s: %d %s: %s", request.method, request.url.path, error.status, error.code, error)
    headers = {"Retry-After": "5"} if isinstance(error, BusyError | PacsUnreachableError) else {}
    return refusal(error.status, error.code, str(error), headers)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal")
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":
        detail = f"{request.url.path} is not served here; GET /docs lists what is"
    return refusal(error.status_code, code, str(detail), error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()]
    return refusal(400, "bad_request", "; ".join(parts) + "; GET /docs says what this endpoint takes")


async def _on_monai_label_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MONAILabelException)
    if isinstance(error, ImageNotFoundException | LabelNotFoundException):
        return refusal(404, "not_found", str(error.msg))
    status = _MONAI_LABEL_STATUS.get(error.error, 500)
    if status == 500:
        return await _on_unexpected(request, error)
    return refusal(status, _CODES[status], str(error.msg))


async def _on_disconnect(request: Request, error: Exception) -> JSONResponse:
    logger.info("%s %s: the client went away", request.method, request.url.path)
    return refusal(400, "disconnected", "the client went away")


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refusal(500, "internal", "an error inside the server; its log says more")


def install_error_handlers(app: FastAPI) -> None:
    """Answer every exception in the one shape, without tracebacks or paths."""
    app.add_exception_handler(AmdDasError, _on_amd_das_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(MONAILabelException, _on_monai_label_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)
