"""The dashboard's pages: each is whole at its address, and its live part comes again at ``…/live``."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from amd_das.errors import ConfigError, NotFoundError
from amd_das.models import default_model_dir
from amd_das_app.dashboard.models_view import card, one_version, versions
from amd_das_app.dashboard.plots import plots_router
from amd_das_app.dashboard.rights import Rights, rights_of
from amd_das_app.dashboard.runs import TranslationSheets, curve_views
from amd_das_app.dashboard.scans import scan_names, scan_rows
from amd_das_app.dashboard.server_view import log_tail, queue, storage, storage_count
from amd_das_app.dashboard.storage import StorageCount
from amd_das_app.dashboard.training_view import STEPS, trainers, training
from amd_das_app.dashboard.words import humanised
from amd_das_app.dashboard.worklist_view import (
    OPEN,
    ORDERS,
    STATES,
    Wish,
    agreement,
    worklist,
)
from amd_das_app.inference.model_choice import model_choice
from amd_das_app.logs.recent import RecentLog
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pages.frame import render
from amd_das_app.requests.names import quoted
from amd_das_app.state import ServerState

BASE: Final = "/dashboard"

NEXT: Final = 4
"""Scans on the overview (ours)."""


def _wish(order: str = "volume", status: str = "", text: str = "", page: int = 1) -> Wish:
    for name, value, known in (("order", order, ORDERS), ("status", status, ("", *STATES))):
        if value not in known:
            raise ConfigError(f"{name} is {quoted(value)}; expected one of {', '.join(filter(None, known))}")
    return Wish(order=order, status=status, text=text[:100], page=page)


WishQuery = Annotated[Wish, Depends(_wish)]
"""Query parameters of the worklist."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What a page is made from."""

    state: ServerState
    log: RecentLog
    storage: StorageCount
    sheets: TranslationSheets
    wish: Wish
    rights: Rights


@dataclass(frozen=True, kw_only=True)
class _Page:
    """One page of the dashboard."""

    title: str
    every_s: int
    """How often its live part comes again."""

    fill: Callable[[_Request], dict[str, Any]]
    """What its templates show."""


def _step_words(step: str) -> str:
    return STEPS.get(step, humanised(step).lower())


def _worklist(asked: _Request) -> dict[str, Any]:
    rows, version, trouble = scan_rows()
    wanted = [row for row in rows if row.status in OPEN]
    return {
        "list": worklist(rows, asked.wish, version, scan_names()),
        "next_cases": worklist(wanted, Wish(), version, scan_names()).cases[:NEXT],
        "scans_trouble": trouble,
        "scoring": asked.state.scorer.busy_with,
        "orders": ORDERS,
        "states": STATES,
    }


def _agreement(asked: _Request) -> dict[str, Any]:
    rows, version, trouble = scan_rows()
    return {"agreement": agreement(rows, version, scan_names()), "scans_trouble": trouble}


def _models(asked: _Request) -> dict[str, Any]:
    error = monai_label_app().model_error
    return {"versions": versions(default_model_dir(), model_choice()), "model_trouble": str(error) if error else ""}


def _training(asked: _Request) -> dict[str, Any]:
    jobs = asked.state.jobs
    return {
        "training": training(jobs, time.time()),
        "trainers": trainers(monai_label_app()._trainers),
        "curves": curve_views(jobs.folder, _step_words),
        "sheet": asked.sheets.newest(),
    }


def _server(asked: _Request) -> dict[str, Any]:
    refused = asked.rights.why_not("GET", "/logs/")
    return {
        "queue": queue(asked.state),
        "storage": storage(asked.storage.look()),
        "log": [] if refused else log_tail(asked.log.lines),
        "log_refused": refused,
    }


def _overview(asked: _Request) -> dict[str, Any]:
    return {
        **_worklist(asked),
        **_models(asked),
        **_training(asked),
        "queue": queue(asked.state),
        "storage": storage(asked.storage.look()),
    }


PAGES: Final = {
    "": _Page(title="Overview", every_s=3, fill=_overview),
    "worklist": _Page(title="Worklist", every_s=5, fill=_worklist),
    "models": _Page(title="Models", every_s=5, fill=_models),
    "training": _Page(title="Training", every_s=2, fill=_training),
    "agreement": _Page(title="Agreement", every_s=10, fill=_agreement),
    "server": _Page(title="Server", every_s=3, fill=_server),
}
"""Last part of the address → page."""


def dashboard_router(state: ServerState, log: RecentLog) -> APIRouter:
    """All below ``/dashboard``; only reads, what it changes goes to the same addresses as other clients' requests."""
    router = APIRouter(prefix=BASE, include_in_schema=False)
    storage_now = storage_count(state)
    sheets = TranslationSheets(state.jobs.folder, state.jobs.folder / "dashboard")

    def answer(request: Request, name: str, wish: Wish, *, live: bool) -> HTMLResponse:
        page, rights = PAGES[name], rights_of(request)
        asked = _Request(
            state=request.app.state.server, log=log, storage=storage_now, sheets=sheets, wish=wish, rights=rights
        )
        address = f"{BASE}/{name}".rstrip("/")
        return render(
            f"{name or 'overview'}{'_live' if live else ''}.html",
            title=page.title,
            here=address,
            scripts=("htmx.min.js", "dashboard.js"),
            live=f"{address}/live" + (f"?{request.url.query}" if request.url.query else ""),
            every_s=page.every_s,
            rights=rights,
            **page.fill(asked),
        )

    @router.get("")
    def overview(request: Request) -> HTMLResponse:
        return answer(request, "", Wish(), live=False)

    @router.get("/live")
    def overview_live(request: Request) -> HTMLResponse:
        return answer(request, "", Wish(), live=True)

    router.include_router(plots_router(sheets))

    @router.get("/{name}/live")
    def live(request: Request, name: str, wish: WishQuery) -> HTMLResponse:
        return answer(request, _known(name), wish, live=True)

    @router.get("/models/{version}")
    def model_card(version: str) -> HTMLResponse:
        view = one_version(default_model_dir(), version, model_choice())
        if view is None:
            raise NotFoundError(f"no model version {quoted(version)}; {BASE}/models lists them")
        return render(
            "card.html",
            title=f"Model {version}",
            here=f"{BASE}/models",
            version=view,
            card=card(default_model_dir(), version),
        )

    @router.get("/{name}")
    def page(request: Request, name: str, wish: WishQuery) -> HTMLResponse:
        return answer(request, _known(name), wish, live=False)

    return router


def _known(name: str) -> str:
    if not name or name not in PAGES:
        raise NotFoundError(f"no page {quoted(name)} of the dashboard; there are: {', '.join(filter(None, PAGES))}")
    return name
