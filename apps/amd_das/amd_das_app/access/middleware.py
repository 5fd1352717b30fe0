"""What every request passes: is somebody logged in, and may they ask for this?"""

import ipaddress
import logging
from typing import Final
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amd_das.accounts import User
from amd_das.errors import AmdDasError
from amd_das_app.access.auditing import write_line
from amd_das_app.access.control import AccessControl
from amd_das_app.access.login_page import forbidden_page, here_again
from amd_das_app.access.matching import RuleFinder
from amd_das_app.access.table import OPEN, Rule
from amd_das_app.access.tokens import InvalidTokenError
from amd_das_app.errors import refusal
from amd_das_app.pages.frame import VIEWER

logger = logging.getLogger(__name__)

COOKIE: Final = "amd_das_token"

_USER: Final = "amd_das.user"
_NO_USERS: Final = (
    "this server can be reached from other machines and has no users, so it answers none of them; add one with "
    "amd-das users add NAME ROLE, or start it with --no-auth, which lets everybody in"
)


def current_user(request: HTTPConnection) -> User | None:
    """Who asks; None where access control is off."""
    return request.scope.get(_USER)


class Access:
    """ASGI middleware in front of every endpoint, MONAI Label's too; the table says who may ask for what."""

    def __init__(self, app: ASGIApp, control: AccessControl) -> None:
        self.app = app
        self.control = control
        self._rules = RuleFinder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # there are no endpoints for WebSockets
            return await send({"type": "websocket.close", "code": 1008})
        try:
            enabled = self.control.enabled
        except (AmdDasError, OSError) as error:
            return await _broken(error)(scope, receive, send)
        rule, path = self._rules.find(scope)
        if not enabled:
            if not self.control.off and _is_exposed(scope):
                return await refusal(403, "no_users", _NO_USERS)(scope, receive, send)
            return await self._pass(scope, receive, send, rule, path, None)

        user, trouble = await self._user(scope)
        VIEWER.set(user.name if user else "")
        if rule.role == OPEN and not (rule.page and user is None and _is_navigation(scope)):
            return await self._pass(scope, receive, send, rule, path, user)
        if user is None:
            return await _not_logged_in(scope, trouble)(scope, receive, send)
        if rule.role != OPEN and not user.may(rule.role):
            if rule.action:
                await self._audit(scope, rule, path, user, 403)
            return await _forbidden(scope, user, rule)(scope, receive, send)
        await self._pass(scope, receive, send, rule, path, user)

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, rule: Rule, path: dict[str, str], user: User | None
    ) -> None:
        scope[_USER] = user
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            if rule.action:
                await self._audit(scope, rule, path, user, status)

    async def _audit(self, scope: Scope, rule: Rule, path: dict[str, str], user: User | None, status: int) -> None:
        await run_sync(write_line, self.control.audit, scope, rule, path, user, status)

    async def _user(self, scope: Scope) -> tuple[User | None, Exception | None]:
        """Who the request's token stands for, or what is wrong with it; nobody and nothing without a token."""
        token = _token(scope)
        if token is None:
            return None, None
        try:
            return await self.control.user_of(token), None
        except (InvalidTokenError, AmdDasError, OSError) as error:
            return None, error


def _token(scope: Scope) -> str | None:
    connection = HTTPConnection(scope)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.cookies.get(COOKIE)


def _is_navigation(scope: Scope) -> bool:
    """Whether a browser wants to show the answer as a page."""
    headers = Headers(scope=scope)
    wanted = scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", "")
    return wanted and headers.get("sec-fetch-mode", "navigate") == "navigate"


def _is_exposed(scope: Scope) -> bool:
    """Whether the request came to an address that other machines can reach."""
    try:
        return not ipaddress.ip_address((scope.get("server") or ("127.0.0.1",))[0]).is_loopback
    except ValueError:
        return False


def _address(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return quote(scope["path"], safe="/") + (f"?{query}" if query else "")


def _not_logged_in(scope: Scope, trouble: Exception | None) -> Response:
    if trouble is not None and not isinstance(trouble, InvalidTokenError):
        return _broken(trouble)
    if _is_navigation(scope):
        if Headers(scope=scope).get("sec-fetch-site") == "cross-site":
            return here_again(_address(scope))  # the browser keeps the cookie back when a link elsewhere was followed
        return RedirectResponse(f"/login?next={quote(_address(scope), safe='')}", 303, {"Cache-Control": "no-store"})
    challenge = 'Bearer realm="AMD-DAS"' + (', error="invalid_token"' if trouble else "")
    detail = str(trouble or "log in first: POST /auth/token with username and password gives a token")
    return refusal(401, "unauthorised", detail, {"WWW-Authenticate": challenge})


def _forbidden(scope: Scope, user: User, rule: Rule) -> Response:
    has = ", ".join(user.roles) or "none that this server knows"
    detail = f"{user.name} may not do this: it needs the role {rule.role}, and the roles given are: {has}"
    if _is_navigation(scope):
        return forbidden_page(detail)
    return refusal(403, "not_allowed", detail, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


def _broken(error: Exception) -> Response:
    logger.error("nobody can be let in: %s", error)
    detail = str(error) if isinstance(error, AmdDasError) and error.code == "realm" else "its log says why"
    return refusal(503, "access", f"nobody can be let in at the moment: {detail}", {"Retry-After": "10"})
