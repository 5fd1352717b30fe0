"""The pages for logging in and out: plain forms, no script, nothing loaded from elsewhere."""

from typing import Final

from fastapi.responses import HTMLResponse
from markupsafe import Markup

from amd_das.accounts import User
from amd_das_app.pages.frame import FORM_HEADERS, render

_MOST: Final = 2000
"""Characters of an address to go back to."""

_PLACE: Final = "/login"


def safe_next(address: str) -> str:
    """An address of this server to go to after the log-in; the start page in place of any other."""
    is_here = address.startswith("/") and not address.startswith("//") and "\\" not in address
    if not is_here or len(address) > _MOST or not all("\x20" < character < "\x7f" for character in address):
        return "/"
    return "/" if address.partition("?")[0] in ("/login", "/logout") else address


def login_page(address: str, *, trouble: str = "", status: int = 200) -> HTMLResponse:
    """The form; ``address`` is where to go afterwards, ``trouble`` what was wrong with the last attempt."""
    return render(
        "login.html",
        status=status,
        headers=FORM_HEADERS,
        title="Log in",
        places=(),
        next=safe_next(address),
        trouble=trouble,
    )


def account_page(user: User, address: str) -> HTMLResponse:
    """Who is logged in, and the way out."""
    return render(
        "account.html", headers=FORM_HEADERS, title="Account", here=_PLACE, user=user, next=safe_next(address)
    )


def switched_off_page() -> HTMLResponse:
    """There is nothing to log in to."""
    return render("frame.html", title="Log in", body="This server has no users, so there is nothing to log in to.")


def forbidden_page(detail: str) -> HTMLResponse:
    """What the user's roles do not allow."""
    return render("frame.html", status=403, title="Not allowed", body=Markup('<p class="error">{}</p>').format(detail))


def here_again(address: str) -> HTMLResponse:
    """Ask for the same address once more, this time from a page of this server, so that the cookie comes along."""
    return render("again.html", title="AMD-DAS", places=(), address=safe_next(address))
