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
from amd_das_app.access import Access
from amd_das_app.access.routes import access_router
from amd_das_app.access.start import check_exposure, launch_host, make_access_control, refuse_other_control
from amd_das_app.dashboard.router import dashboard_router
from amd_das_app.errors import install_error_handlers
from amd_das_app.guard import Guard
from amd_das_app.inference.batch import BatchRunner
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.model_choice import follow_model_choice
from amd_das_app.logs.quiet import HideUids, quieten
from amd_das_app.logs.recent import RecentLog
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore, expire_now_and_then
from amd_das_app.pacs.series_jobs import SeriesJobs
from amd_das_app.routes import datastore, images, infer, jobs, model, proxy, series, session, train, versions, worklist
from amd_das_app.routes.ohif import ohif_router
from amd_das_app.routes.pages import pages_router
from amd_das_app.routes.stock import stock_router
from amd_das_app.settings import ServerSettings
from amd_das_app.state import ServerState
from amd_das_app.training.jobs import JobManager
from amd_das_app.training.tasks import training_folder
from amd_das_app.worklist.scorer import Scorer


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    instance = monai_label_app()
    instance.server_mode(True)
    instance.on_init_complete()
    state: ServerState = app.state.server
    await run_sync(state.jobs.start)
    if state.series_jobs is not None:
        await state.series_jobs.start()
    state.scorer.start()
    tasks = [asyncio.create_task(follow_model_choice(app.state.access.audit))]
    if isinstance(datastore := instance.datastore(), PacsDatastore):
        tasks.append(asyncio.create_task(expire_now_and_then(datastore.cache)))
    yield
    for task in tasks:
        task.cancel()
    await proxy.close_proxy(app.state)
    if state.series_jobs is not None:
        await state.series_jobs.close()
    await state.scorer.close()
    await state.batch.stop()
    await run_sync(state.jobs.close)


def create_application(settings: ServerSettings) -> FastAPI:
    """The whole server; the studies and the app's folder come from MONAI Label's own settings.

    Raises:
        ConfigError: it would listen to other machines without knowing who may ask.
    """
    refuse_other_control(monai_label_settings.MONAI_LABEL_AUTH_ENABLE)
    control = make_access_control(settings)
    check_exposure(control, launch_host(settings))
    quieten()
    log = RecentLog()
    logging.getLogger().addHandler(log)
    for handler in logging.getLogger().handlers:
        handler.addFilter(HideUids())
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
    is_pacs = studies.startswith(("http://", "https://"))
    folder = training_folder(studies, settings)
    app.state.server = ServerState(
        settings=settings,
        queues=queues,
        batch=BatchRunner(queues),
        jobs=JobManager(folder, stop_seconds=settings.stop_seconds),
        scorer=Scorer(queues, idle_s=settings.score_after, most_series=settings.score_series),
        series_jobs=SeriesJobs(folder / "series", queues) if is_pacs else None,
    )
    app.state.access = control
    install_error_handlers(app)
    app.add_middleware(Access, control=control)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_credentials=False,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
    )
    app.add_middleware(Guard, settings=settings)
    app.include_router(access_router(control))
    app.include_router(dashboard_router(app.state.server, log))
    app.include_router(pages_router(log, has_ohif=is_pacs))
    app.include_router(ohif_router(has_pacs=is_pacs))
    for routes in (
        infer,
        session,
        datastore,
        images,
        jobs,
        model,
        train,
        versions,
        worklist,
    ):
        app.include_router(routes.router)
    if is_pacs:
        app.include_router(proxy.router)
        app.include_router(series.router)
    app.include_router(stock_router())
    return app
