"""What every request passes first: who may ask, and how much may be sent."""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amd_das_app.errors import refusal
from amd_das_app.settings import ServerSettings

_UPLOADS = re.compile(r"/(infer|session|datastore|model)/")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def host_name(host: str) -> str:
    """Host header or origin without scheme and port: ``"[::1]:8000"`` → ``"::1"``."""
    try:
        return (urlsplit(host if "//" in host else f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class Guard:
    """ASGI middleware: the Host header, the Origin of writes, and the size of bodies.

    The Host check stops a web page elsewhere from reading scans through a name of its own that it points at this
    machine; the Origin check stops it from sending writes. Starlette's limit on bodies answers in plain text, and
    before the client has finished sending, so that many clients never see the answer; this one drains first.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        names = self.settings.host_names
        if "*" not in names and host_name(host) not in names:
            detail = f"host {host_name(host)!r} is not one of this server's names; add it with AMD_DAS_ALLOWED_HOSTS"
            return await refusal(400, "bad_host", detail)(scope, receive, send)
        origin = headers.get("origin")
        if origin and scope["method"] in _UNSAFE and not self.is_known_origin(origin, host):
            detail = f"requests from web pages of {origin!r} are refused; add that origin with AMD_DAS_CORS_ORIGINS"
            return await refusal(403, "foreign_origin", detail)(scope, receive, send)

        upload = scope["method"] in ("POST", "PUT") and _UPLOADS.match(scope["path"])
        limit = self.settings.max_upload_bytes if upload else self.settings.max_body_bytes
        await self.app(scope, limited(receive, limit), send)

    def is_known_origin(self, origin: str, host: str) -> bool:
        """Whether the page was served by this server or by an origin its owner named."""
        return urlsplit(origin).netloc == host or origin in self.settings.cors_origins


def limited(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    """``receive`` that raises 413 after ``limit`` bytes, once the rest (up to twice that) has been thrown away."""
    total = 0

    async def wrapped() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total <= limit:
            return message
        while message.get("more_body") and total <= 3 * limit:
            message = await receive()
            total += len(message.get("body", b""))
        raise HTTPException(413, f"the request is larger than {limit / 2**20:.0f} MiB, the most accepted here")

    return wrapped
