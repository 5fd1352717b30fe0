"""The frame that all pages share, and the files they load."""

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from html import escape
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from amd_das.conventions import RESEARCH_NOTICE

_APP: Final = Path(__file__).resolve().parents[1]

ASSETS: Final[Mapping[str, Path]] = {
    path.name: path
    for path in (
        _APP / "pages" / "page.css",
        _APP / "pages" / "series.js",
        _APP / "pages" / "vendor" / "pico.classless.blue.min.css",
        _APP / "pages" / "vendor" / "htmx.min.js",
        _APP / "dashboard" / "dashboard.js",
    )
}
"""Served below ``/pages/``."""

PLACES: Final = (
    ("/dashboard", "Overview"),
    ("/dashboard/worklist", "Worklist"),
    ("/dashboard/models", "Models"),
    ("/dashboard/training", "Training"),
    ("/dashboard/agreement", "Agreement"),
    ("/dashboard/server", "Server"),
)
"""The navigation of every page: address, name."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every page."""

TEMPLATES: Final = Environment(
    loader=FileSystemLoader([_APP / room / "templates" for room in ("pages", "dashboard", "access")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""What is put into a template is escaped unless it is Markup."""


FORM_HEADERS: Final[Mapping[str, str]] = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace("form-action 'none'", "form-action 'self'"),
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends a form with Origin: null
}
"""Of a page with a form that is sent without a script."""

VIEWER: Final[ContextVar[str]] = ContextVar("viewer", default="")
"""Name of the user for whom a page is made; empty where access control is off."""


def render(template: str, *, status: int = 200, headers: Mapping[str, str] = HEADERS, **context: Any) -> HTMLResponse:
    """A template as an answer; those that extend ``frame.html`` need ``title``."""
    frame = {
        "notice": RESEARCH_NOTICE,
        "places": PLACES,
        "viewer": VIEWER.get(),
        "scripts": (),
        "here": "",
        "body": "",
    }
    return HTMLResponse(TEMPLATES.get_template(template).render(frame | context), status, dict(headers))


def page(title: str, body: str, *, status: int = 200, script: str = "", here: str = "") -> HTMLResponse:
    """A whole page; ``body`` is HTML, ``script`` one of the ASSETS, ``here`` the page's address."""
    scripts = (script,) if script else ()
    return render("frame.html", status=status, title=title, body=Markup(body), scripts=scripts, here=here)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of cells that are HTML; empty without rows. On a narrow screen each row is a card, its cells titled."""
    titles = [escape(title) for title in head]
    lines = [
        "".join(f'<td data-title="{title}">{cell}</td>' for title, cell in zip(titles, row, strict=True))
        for row in rows
    ]
    if not lines:
        return ""
    heads = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
