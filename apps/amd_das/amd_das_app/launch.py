"""Run the application on a socket that is already ours, and say what to open once it answers."""

import asyncio
import contextlib
import logging
import socket
import sys

import uvicorn

from amd_das.conventions import RESEARCH_NOTICE
from amd_das_app.settings import ServerSettings


def greeting(settings: ServerSettings) -> str:
    """What to open, and a command to try."""
    from amd_das_app.routes.pages import curl_line, image_ids
    from amd_das_app.state import monai_label_app

    app = monai_label_app()
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    base = f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.port}"
    ids = image_ids(app)
    lines = [
        "",
        f"AMD-DAS is ready. {RESEARCH_NOTICE}",
        f"  browser     {base}/",
        f"  3D Slicer   module MONAI Label, server {base}",
        f"  scans       {len(ids)} in {app.studies}",
    ]
    if trouble := app.pacs_trouble():
        lines.append(f"  NO PACS     {trouble}; trying again whenever it is needed")
    if app.model_error is not None:
        lines.append(f"  NO MODEL    nothing can be segmented: {app.model_error}")
    elif ids:
        lines.append(f"  terminal    {curl_line(base, ids[0])}")
    if not settings.on_loopback:
        lines.append(
            f"  WARNING     {settings.host} can be reached from other machines, and there is no authentication"
        )
    lines.append("Stop with Ctrl+C.")
    return "\n".join(lines) + "\n"


class _Server(uvicorn.Server):
    """Greets when it has started."""

    def __init__(self, config: uvicorn.Config, settings: ServerSettings) -> None:
        super().__init__(config)
        self.settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(await asyncio.to_thread(greeting, self.settings))
            sys.stdout.flush()


def run(listener: socket.socket, settings: ServerSettings) -> int:
    """Serve until interrupted; returns the exit status."""
    logging.getLogger("timeloop").disabled = True  # MONAI Label's clock, which sets up a log of its own
    config = uvicorn.Config("server:app", access_log=False, log_config=None, timeout_graceful_shutdown=5)
    server = _Server(config, settings)
    with contextlib.suppress(KeyboardInterrupt):  # it shuts down in order, then passes Ctrl+C on
        asyncio.run(server.serve(sockets=[listener]))
    return 0 if server.started else 1
