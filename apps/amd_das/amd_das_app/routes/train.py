"""``/train``: starting, watching and stopping trainings, as MONAI Label's clients do."""

import asyncio
import uuid
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter

from amd_das.errors import ConfigError, NotFoundError
from amd_das_app.monai_app import monai_label_app
from amd_das_app.requests.names import quoted
from amd_das_app.state import ServerState, State
from amd_das_app.training.job_record import Job
from amd_das_app.training.jobs import LOOK_EVERY_S
from amd_das_app.training.process_task import ProcessTrainTask

router = APIRouter(prefix="/train", tags=["Train"])


def _trainers() -> dict[str, ProcessTrainTask]:
    trainers: dict[str, ProcessTrainTask] = monai_label_app()._trainers
    if not trainers:
        raise NotFoundError("this server has no trainers")
    return trainers


async def _end_of(job: Job) -> None:
    while job.ended is None:
        await asyncio.sleep(LOOK_EVERY_S)


async def _record(state: ServerState, job: Job) -> dict[str, Any]:
    return await in_thread(state.jobs.record, job)


@router.get("/", summary="Progress of the training")
async def train_status(state: State, all: bool = False, check_if_running: bool = False) -> Any:
    """The record of the training at work or else of the last one; 404 if there is none. ``all``: every record."""
    job = state.jobs.running if check_if_running else state.jobs.shown
    if job is None:
        raise NotFoundError(
            f"{'no training is at work' if check_if_running else 'there has been no training'}; "
            "start one with POST /train/amd_das"
        )
    return [await _record(state, one) for one in state.jobs.jobs] if all else await _record(state, job)


@router.post("/{model}", summary="Train: the whole pipeline (amd_das), up to one of its steps, or fine_tune")
async def train(
    state: State, model: str, params: dict[str, Any] | None = None, run_sync: bool = False, enqueue: bool = False
) -> dict[str, Any]:
    """Params as ``/info/`` lists them for each trainer. 429 while another is at work, unless ``enqueue``."""
    trainers = _trainers()
    if model not in trainers:
        raise NotFoundError(f"no trainer {quoted(model)}; there are: {', '.join(trainers)}")
    task = trainers[model]
    chosen = task.parse(params or {})
    if not enqueue:
        state.jobs.require_free()
    await in_thread(task.check, chosen)
    job = await in_thread(partial(task.submit, state.jobs, chosen, enqueue=enqueue))
    if run_sync:
        await _end_of(job)
    return await _record(state, job)


def params_of(
    model: str, params: Mapping[str, Any], trainers: Mapping[str, Any], foreign: Collection[str] = ()
) -> dict[str, Any]:
    """One trainer's part of the params of all: its own object, and what stands beside the objects.

    Of the latter, the keys that only other trainers know (``foreign``) are left out.
    """
    own = params.get(model) or {}
    if not isinstance(own, dict):
        raise ConfigError(f"params: {model!r} should be an object such as {{}}")
    return {key: value for key, value in params.items() if key not in trainers and key not in foreign} | own


@router.post("/", summary="Start every trainer, one after the other")
async def train_all(state: State, params: dict[str, Any] | None = None, run_sync: bool = False) -> dict[str, Any]:
    """What is up to date ends at once, and so does fine_tune while nothing is labelled.

    Params: one object per trainer, by its name, or one for all.
    """
    trainers = _trainers()
    offered = {name: task.config().keys() for name, task in trainers.items()}
    known = set().union(*offered.values())
    chosen = {
        name: task.parse(params_of(name, params or {}, trainers, known - offered[name]))
        for name, task in trainers.items()
    }
    checked: dict[Any, Any] = {}
    for name, task in trainers.items():
        kind = (type(task), chosen[name])
        if kind not in checked:  # trainers of one kind share the check
            checked[kind] = await in_thread(task.check_among_all, chosen[name])
        chosen[name] = checked[kind]

    groups = {type(task): str(uuid.uuid4()) for task in trainers.values()}  # fine-tuning needs no step of the pipeline
    jobs = [
        await in_thread(partial(task.submit, state.jobs, chosen[name], group=groups[type(task)], enqueue=True))
        for name, task in trainers.items()
    ]
    if run_sync:
        for job in jobs:
            await _end_of(job)
    return {job.model: {"result": await _record(state, job), "detail": None} for job in jobs}


@router.delete("/", summary="Stop the training, and drop those in line")
async def train_stop(state: State) -> Any:
    """The stopped training's record once it has ended, or null. What it has done is kept, and continued next time."""
    job = await in_thread(state.jobs.stop)
    return await _record(state, job) if job else None
