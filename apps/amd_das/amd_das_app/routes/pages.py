"""What a browser gets: start page, documentation and logs. Nothing is loaded from anywhere else."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse

from amd_das.errors import NotFoundError, PacsError
from amd_das_app.logs.recent import MAX_LINES, RecentLog
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.pages import ASSETS, page, table
from amd_das_app.pages.series_list import series_list
from amd_das_app.requests.names import quoted
from amd_das_app.routes.ohif import OHIF
from amd_das_app.state import State, require_allowed


def curl_line(base: str, image_id: str) -> str:
    """The command that segments a scan of the studies and shows its measurement."""
    return f"curl -s -X POST '{base}/infer/amd_das?image={image_id}&output=json'"


def image_ids(app: Any) -> list[str]:
    """Ids of the scans, sorted; none while the PACS does not answer."""
    try:
        return sorted(app.datastore().list_images())
    except (PacsError, NotFoundError):
        return []


def _start(request: Request, has_ohif: bool) -> HTMLResponse:
    info = monai_label_app().info()
    base = str(request.base_url).rstrip("/")
    ids = image_ids(monai_label_app())
    models = "".join(
        f"<li><code>{escape(name)}</code>: {escape(model['description'])}</li>"
        for name, model in info["models"].items()
    )
    ohif = '<li><a href="/ohif/">OHIF viewer</a></li>' if has_ohif else ""
    example = f"<pre>{escape(curl_line(base, ids[0]))}</pre>" if ids and models else ""
    datastore = monai_label_app().datastore()
    series = series_list(datastore.listing) if isinstance(datastore, PacsDatastore) else ""
    return page(
        "AMD-DAS",
        f"<p>{escape(info['description'])}</p><ul>{models}</ul>"
        f"<p>{len(ids)} scans in the studies, {info['datastore']['completed']} labelled.</p>{series}"
        f"<p>3D Slicer: module <em>MONAI Label</em>, server <code>{escape(base)}</code></p>{example}"
        '<ul><li><a href="/dashboard">Dashboard</a></li><li><a href="/docs">Endpoints</a></li>'
        '<li><a href="/info/">/info/</a></li>'
        f'<li><a href="/datastore/?output=all">Studies</a></li><li><a href="/queue">Queue</a></li>{ohif}</ul>',
        here="/",
    )


def _parameters(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    names = [
        f"{item['name']}{'*' if item.get('required') else ''}"
        for item in operation.get("parameters", [])
        if item["name"] != "token"
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        fields = schemas.get(reference, {}).get("properties", {})
        names.append(f"{kind}({', '.join(fields)})" if fields else kind)
    return ", ".join(names)


def _documentation(schema: dict[str, Any]) -> HTMLResponse:
    schemas = schema.get("components", {}).get("schemas", {})
    rows = [
        (
            f"<code>{method.upper()} {escape(path)}</code>",
            f"{escape(operation.get('summary', ''))}<br><small>{escape(operation.get('description', ''))}</small>",
            f"<small>{escape(_parameters(operation, schemas))}</small>",
        )
        for path, operations in sorted(schema["paths"].items())
        for method, operation in operations.items()
    ]
    return page(
        "AMD-DAS: endpoints",
        '<p>* must be given. Errors come as <code>{"error": code, "detail": sentence}</code>. '
        'For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        + table(("Endpoint", "What it does", "Parameters"), rows),
    )


def pages_router(log: RecentLog, *, has_ohif: bool) -> APIRouter:
    """Start page, ``/docs`` and ``/logs/``."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def start(request: Request) -> HTMLResponse:
        return _start(request, has_ohif)

    @router.get("/pages/{name}")
    async def asset(name: str) -> FileResponse:
        if name not in ASSETS:
            raise NotFoundError(f"no {quoted(name)} among the pages' files; there are: {', '.join(ASSETS)}")
        return FileResponse(ASSETS[name], headers={"Cache-Control": "no-cache"})

    @router.get("/docs")
    async def documentation(request: Request) -> HTMLResponse:
        return _documentation(request.app.openapi())

    @router.get("/favicon.ico")
    async def favicon() -> FileResponse:
        return FileResponse(OHIF.parent / "favicon.ico")

    @router.get("/logs/")
    async def logs(state: State, lines: int = 300) -> PlainTextResponse:
        if not state.settings.on_loopback:
            require_allowed(state.settings, "logs", "reading the log over a network")
        chosen = list(log.lines)[-min(max(lines, 1), MAX_LINES) :]
        return PlainTextResponse("\n".join(chosen) + "\n")

    return router
