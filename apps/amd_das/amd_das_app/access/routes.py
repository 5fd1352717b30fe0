"""``/auth``, as MONAI Label's clients speak it, and ``/login`` and ``/logout`` for browsers."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from amd_das.accounts import ROLES
from amd_das.errors import AmdDasError
from amd_das_app.access.control import AccessControl, LoggedIn
from amd_das_app.access.login_page import account_page, login_page, safe_next, switched_off_page
from amd_das_app.access.middleware import COOKIE, current_user
from amd_das_app.access.throttle import TooManyAttemptsError
from amd_das_app.errors import refusal

_WRONG = "wrong user name or password"


def access_router(control: AccessControl) -> APIRouter:
    """All of these are open to everybody but ``/auth/token/valid``."""
    router = APIRouter()
    text = Annotated[str, Form()]

    @router.get("/auth/", tags=["Auth"], summary="Whether a token is needed")
    async def auth() -> dict[str, Any]:
        """``realm`` and ``client_id`` belong to an OpenID Connect realm; empty without one."""
        config = control.realm.config if control.realm else None
        return {
            "enabled": control.enabled,
            "client_id": config.client if config else "",
            "realm": config.issuer if config else "",
        }

    @router.post("/auth/token", tags=["Auth"], summary="A token for user name and password")
    async def token(
        request: Request, username: text = "", password: text = "", grant_type: text = "password"
    ) -> Response:
        """Form as in OAuth2's password grant. Send the token as ``Authorization: Bearer …``."""
        if not control.enabled:
            return _json({"access_token": None, "token_type": None})
        if grant_type != "password":
            return refusal(400, "bad_request", "grant_type: expected password")
        try:
            found = await control.log_in(username, password, _client(request))
        except TooManyAttemptsError as error:
            return refusal(429, error.code, str(error), {"Retry-After": str(error.seconds)})
        if found is None:
            return refusal(401, "unauthorised", _WRONG, {"WWW-Authenticate": 'Bearer realm="AMD-DAS"'})
        return _json({"access_token": found.token, "token_type": "bearer", "expires_in": found.seconds})

    @router.get("/auth/token/valid", tags=["Auth"], summary="Whose the token is; 401 if it does not hold")
    async def valid(request: Request) -> dict[str, Any]:
        """Everybody has all roles where no token is needed."""
        user = current_user(request)
        return {
            "username": user.name if user else "anonymous",
            "email": None,
            "name": user.name if user else None,
            "roles": list(user.roles if user else ROLES),
        }

    @router.get("/login", include_in_schema=False)
    async def form(request: Request, next: str = "/") -> Response:
        if not control.enabled:
            return switched_off_page()
        user = current_user(request)
        return account_page(user, next) if user else login_page(next)

    @router.post("/login", include_in_schema=False)
    async def log_in(request: Request, username: text = "", password: text = "", next: text = "/") -> Response:
        if not control.enabled:
            return RedirectResponse("/login", 303)
        try:
            found = await control.log_in(username.strip().lower(), password, _client(request))
        except TooManyAttemptsError as error:
            return login_page(next, trouble=f"{str(error).capitalize()}.", status=429)
        except AmdDasError as error:
            return login_page(next, trouble=f"{error}.", status=error.status)
        if found is None:
            return login_page(next, trouble=f"{_WRONG.capitalize()}.", status=401)
        answer = RedirectResponse(quote(safe_next(next), safe="/?&=%.,:;~+-_@!$'()*#[]"), 303)
        _set_cookie(answer, request, found)
        return answer

    @router.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        if user := current_user(request):
            control.audit.write("log out", who=user.name, outcome="ok", address=_client(request))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    return router


def _json(content: dict[str, Any]) -> Response:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


def _client(request: Request) -> str:
    return request.client.host if request.client else "?"


def _set_cookie(answer: Response, request: Request, found: LoggedIn) -> None:
    answer.set_cookie(
        COOKIE,
        found.token,
        max_age=found.seconds,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
