"""Many scans in one job: ``/batch/infer``, in the server's own process and in line with single requests."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from anyio.to_thread import run_sync
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType, BatchInferTask

from amd_das.errors import AmdDasError, ConfigError, NotFoundError
from amd_das_app.errors import ConflictError
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import HemorrhageInferTask
from amd_das_app.requests.images import image_at_hand
from amd_das_app.requests.names import check_tag
from amd_das_app.requests.params import InferParams
from amd_das_app.requests.uploads import scratch_folder

logger = logging.getLogger(__name__)

BATCH_KEYS: Final = {
    "gpus": (str,),
    "label_tag": (str,),
    "max_batch_size": (int,),
    "max_workers": (int,),
    "multi_gpu": (bool,),
    "save_label": (bool,),
}
"""What MONAI Label's own batch request holds besides the task's params. Devices are chosen by "device" here."""


class CpuSafeBatchInfer(BatchInferTask):
    """MONAI Label's batch task under its own server, where the default request divides by the number of GPUs."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Any) -> dict[str, Any]:
        """Without a GPU the request's ``multi_gpu`` is not obeyed."""
        return super().__call__(
            {**request, "multi_gpu": False} if not torch.cuda.is_available() else request, datastore, infer
        )


def select_images(datastore: Datastore, images: BatchInferImageType, limit: int) -> list[str]:
    """Ids to segment, sorted; all of them when ``limit`` is 0."""
    choose = {
        BatchInferImageType.IMAGES_ALL: datastore.list_images,
        BatchInferImageType.IMAGES_LABELED: datastore.get_labeled_images,
        BatchInferImageType.IMAGES_UNLABELED: datastore.get_unlabeled_images,
    }
    ids = sorted(choose[images]())
    return ids[:limit] if limit > 0 else ids


def _now() -> str:
    return f"{datetime.now():%Y-%m-%d %H:%M:%S}"


class BatchRunner:
    """One batch job at a time; its record has the fields of MONAI Label's background tasks."""

    def __init__(self, queues: DeviceQueues) -> None:
        self.queues = queues
        self.jobs: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self._task is not None and not self._task.done()

    async def start(
        self,
        app: MONAILabelApp,
        task: HemorrhageInferTask,
        images: BatchInferImageType,
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Start a job and return its record; raises ConflictError while one is running, ConfigError for bad params."""
        self._require_free()
        for key in given.keys() & BATCH_KEYS.keys():
            if given[key] is not None and type(given[key]) not in BATCH_KEYS[key]:
                raise ConfigError(f"params: {key!r} should be of type {BATCH_KEYS[key][0].__name__}")
        params = task.parse({key: value for key, value in given.items() if key not in BATCH_KEYS})
        tag = check_tag(given.get("label_tag") or DefaultLabelTag.ORIGINAL.value)
        ids = await run_sync(select_images, app.datastore(), images, given.get("max_batch_size") or 0)
        self._require_free()  # another may have come first while the studies were listed
        job = {
            "id": str(uuid.uuid4()),
            "status": "SUBMITTED",
            "request": {"model": task.model.info.name, "images": images.value, "label_tag": tag},
            "start_ts": _now(),
            "total": len(ids),
            "done": 0,
            "failed": {},
            "details": [],
        }
        self.jobs = [*self.jobs[-19:], job]
        self._stopping = False
        self._task = asyncio.create_task(self._run(job, app, task, ids, params, tag))
        return job

    def _require_free(self) -> None:
        if self.is_running:
            raise ConflictError("a batch is running; wait for it (GET /batch/infer) or stop it (DELETE /batch/infer)")

    async def wait(self) -> None:
        """Until the present job is over."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> dict[str, Any] | None:
        """Stop the job after the scan it is at; its record, or None when there is none."""
        if not self.is_running:
            return None
        self._stopping = True
        await self.wait()
        return self.jobs[-1]

    async def _run(
        self,
        job: dict[str, Any],
        app: MONAILabelApp,
        task: HemorrhageInferTask,
        ids: list[str],
        params: InferParams,
        tag: str,
    ) -> None:
        job["status"] = "RUNNING"
        for image_id in ids:
            if self._stopping:
                break
            job["details"] = [*job["details"][-19:], await self._one(job, app, task, image_id, params, tag)]
            job["done"] += 1
        all_failed = bool(ids) and len(job["failed"]) == len(ids)
        job["status"] = "ERROR" if all_failed else "STOPPED" if job["done"] < len(ids) else "DONE"
        job["end_ts"] = _now()

    async def _one(
        self,
        job: dict[str, Any],
        app: MONAILabelApp,
        task: HemorrhageInferTask,
        image_id: str,
        params: InferParams,
        tag: str,
    ) -> str:
        """Segment and save one scan; a scan that fails is noted and does not end the job."""
        try:
            async with scratch_folder() as folder:
                mask = folder / f"mask{params.result_extension}"
                async with image_at_hand(app, image_id) as path:
                    record, _ = await self.queues.run(task.device_of(params), partial(task.segment, path, params, mask))
                await run_sync(save_mask, app.datastore(), image_id, mask, tag, record)
        except AmdDasError as error:
            job["failed"][image_id] = str(error)
            return f"{image_id}: {error}"
        except Exception:
            logger.exception("batch: %s failed", image_id)
            job["failed"][image_id] = "an error inside the server; its log says more"
            return f"{image_id}: {job['failed'][image_id]}"
        return f"{image_id}: {record.get('volume_ml', 0):.1f} mL"


def save_mask(datastore: Datastore, image_id: str, mask: Path, tag: str, record: Mapping[str, Any]) -> None:
    """Save a mask as the image's label, with its record where 3D Slicer looks for the label names."""
    datastore.save_label(image_id, str(mask), tag, {"model": record.get("model"), "params": dict(record)})


def last_job(runner: BatchRunner, *, everything: bool, only_running: bool) -> Any:
    """The records ``GET /batch/infer`` asks for; raises NotFoundError when there are none."""
    if only_running and not runner.is_running:
        raise NotFoundError("no batch is running; start one with POST /batch/infer/amd_das")
    if not runner.jobs:
        raise NotFoundError("there has been no batch; start one with POST /batch/infer/amd_das")
    return runner.jobs if everything else runner.jobs[-1]
