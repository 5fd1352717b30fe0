"""Run the application on a socket that is already ours, and say what to open once it answers."""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from importlib import import_module

import uvicorn

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das_app.settings import ServerSettings


def check_certificate(settings: ServerSettings) -> None:
    """Raises ConfigError unless the files for https can be used, or none are named."""
    if not settings.tls_cert:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, _no_passphrase)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ConfigError(
            f"AMD_DAS_TLS_CERT {settings.tls_cert} and AMD_DAS_TLS_KEY {settings.tls_key} cannot be used: {reason}; "
            "expected a PEM certificate and its private key without a passphrase"
        ) from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def warnings(settings: ServerSettings, *, enabled: bool) -> list[str]:
    """What its owner should know about how the server is started."""
    found = []
    if settings.auth == "off":
        reach = "this machine" if settings.on_loopback else "the network"
        found.append(f"--no-auth: everybody on {reach} may read all scans, change labels, train, and put models to use")
    if not settings.on_loopback and not settings.tls_cert:
        found.append(
            f"{'passwords and scans' if enabled else 'scans'} cross the network in clear: set AMD_DAS_TLS_CERT and "
            "AMD_DAS_TLS_KEY, or put a proxy with https in front"
        )
    return found


def greeting(settings: ServerSettings, *, enabled: bool) -> str:
    """What to open, and a command to try."""
    from amd_das_app.monai_app import monai_label_app
    from amd_das_app.routes.pages import curl_line, image_ids

    scheme = "https" if settings.tls_cert else "http"
    app = monai_label_app()
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    base = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{settings.port}"
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
        token = ' -H "Authorization: Bearer $TOKEN"' if enabled else ""
        lines.append(f"  terminal    {curl_line(base, ids[0])}{token}")
    lines += [f"  WARNING     {trouble}" for trouble in warnings(settings, enabled=enabled)]
    if enabled:
        lines.append("  access      by log-in; POST /auth/token with username and password gives a token")
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
            enabled = import_module("server").app.state.access.enabled
            sys.stdout.write(await asyncio.to_thread(greeting, self.settings, enabled=enabled))
            sys.stdout.flush()


def run(listener: socket.socket, settings: ServerSettings) -> int:
    """Serve until interrupted; returns the exit status."""
    logging.getLogger("timeloop").disabled = True  # MONAI Label's clock, which sets up a log of its own
    config = uvicorn.Config(
        "server:app",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    server = _Server(config, settings)
    with contextlib.suppress(KeyboardInterrupt):  # it shuts down in order, then passes Ctrl+C on
        asyncio.run(server.serve(sockets=[listener]))
    return 0 if server.started else 1
