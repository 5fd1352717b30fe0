"""The frame that all pages share, and the files they load."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from fastapi.responses import HTMLResponse

from amd_das.conventions import RESEARCH_NOTICE

ASSETS: Final[Mapping[str, Path]] = {
    name: Path(__file__).resolve().with_name(name) for name in ("page.css", "series.js")
}
"""Served below ``/pages/``."""

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}


def page(title: str, body: str, *, status: int = 200, script: str = "") -> HTMLResponse:
    """A whole page; ``body`` is HTML, ``script`` one of the ASSETS."""
    load = f'<script src="/pages/{script}" defer></script>' if script else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="/pages/page.css">{load}</head>'
        f'<body><h1>{escape(title)}</h1><p class="notice">{escape(RESEARCH_NOTICE)}</p>{body}</body></html>',
        status_code=status,
        headers=dict(_HEADERS),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of cells that are HTML; empty without rows."""
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    if not lines:
        return ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    return f"<table><tr>{titles}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
