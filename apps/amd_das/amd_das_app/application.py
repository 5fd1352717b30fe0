"""The ASGI application: guards, our endpoints, then those of MONAI Label that are served as they are."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from monailabel.config import settings as monai_label_settings

import amd_das
from amd_das.conventions import RESEARCH_NOTICE
from amd_das_app import routes_datastore, routes_infer, routes_model, routes_session
from amd_das_app.batch import BatchRunner
from amd_das_app.devices import DeviceQueues
from amd_das_app.errors import install_error_handlers
from amd_das_app.guard import Guard
from amd_das_app.model_choice import follow_model_choice
from amd_das_app.recent_log import RecentLog
from amd_das_app.routes_pages import pages_router
from amd_das_app.settings import ServerSettings
from amd_das_app.state import ServerState, monai_label_app
from amd_das_app.stock import stock_router


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    instance = monai_label_app()
    instance.server_mode(True)
    instance.on_init_complete()
    follower = asyncio.create_task(follow_model_choice())
    yield
    follower.cancel()
    await app.state.server.batch.stop()


def create_application(settings: ServerSettings) -> FastAPI:
    """The whole server; the studies and the app's folder come from MONAI Label's own settings."""
    log = RecentLog()
    logging.getLogger().addHandler(log)
    app = FastAPI(
        title="AMD-DAS",
        description=RESEARCH_NOTICE,
        version=amd_das.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    queues = DeviceQueues(settings.max_queue)
    app.state.server = ServerState(settings=settings, queues=queues, batch=BatchRunner(queues))
    install_error_handlers(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_credentials=False,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
    )
    app.add_middleware(Guard, settings=settings)
    has_dicomweb = monai_label_settings.MONAI_LABEL_STUDIES.startswith(("http://", "https://"))
    app.include_router(pages_router(log, has_ohif=has_dicomweb))
    for routes in (routes_infer, routes_session, routes_datastore, routes_model):
        app.include_router(routes.router)
    app.include_router(stock_router())
    return app
