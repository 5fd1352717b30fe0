"""The ASGI application: guards, our endpoints, then those of MONAI Label that are served as they are."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from monailabel.config import settings as monai_label_settings

import amd_das
from amd_das.conventions import RESEARCH_NOTICE
from amd_das_app import routes_datastore, routes_infer, routes_model, routes_session, routes_train
from amd_das_app.batch import BatchRunner
from amd_das_app.devices import DeviceQueues
from amd_das_app.errors import install_error_handlers
from amd_das_app.guard import Guard
from amd_das_app.jobs import JobManager
from amd_das_app.model_choice import follow_model_choice
from amd_das_app.recent_log import RecentLog
from amd_das_app.routes_pages import pages_router
from amd_das_app.settings import ServerSettings
from amd_das_app.state import ServerState, monai_label_app
from amd_das_app.stock import stock_router
from amd_das_app.train_tasks import training_folder


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    instance = monai_label_app()
    instance.server_mode(True)
    instance.on_init_complete()
    state: ServerState = app.state.server
    await run_sync(state.jobs.start)
    follower = asyncio.create_task(follow_model_choice())
    yield
    follower.cancel()
    await state.batch.stop()
    await run_sync(state.jobs.close)


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
    studies = monai_label_settings.MONAI_LABEL_STUDIES
    jobs = JobManager(training_folder(studies, settings), stop_seconds=settings.stop_seconds)
    app.state.server = ServerState(settings=settings, queues=queues, batch=BatchRunner(queues), jobs=jobs)
    install_error_handlers(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_credentials=False,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
    )
    app.add_middleware(Guard, settings=settings)
    app.include_router(pages_router(log, has_ohif=studies.startswith(("http://", "https://"))))
    for routes in (routes_infer, routes_session, routes_datastore, routes_model, routes_train):
        app.include_router(routes.router)
    app.include_router(stock_router())
    return app
