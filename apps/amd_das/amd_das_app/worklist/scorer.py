"""Scores scans in the background, one at a time, at the lowest priority, and only while nobody segments."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from anyio.to_thread import run_sync
from monailabel.interfaces.datastore import Datastore

from amd_das.active_learning.opinion import Interrupted
from amd_das.errors import AmdDasError, ModelError, PacsError
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import TASK_NAME, HemorrhageInferTask
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.requests.images import image_in_use
from amd_das_app.requests.params import InferParams
from amd_das_app.worklist.case_scores import FINAL, CaseScores, image_stamp, label_stamp, newest_first
from amd_das_app.worklist.case_scoring import NOTE, leave_notes, score_scan
from amd_das_app.worklist.scores import CaseScore

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
LOOK_INTO_PACS_EVERY_S: Final = 30.0
"""Unless somebody saves a label here."""

PAUSE_AFTER_TROUBLE_S: Final = 30.0
FETCH_ATTEMPTS: Final = 3
"""A series that the PACS does not give although it answers is given up after so many (ours)."""

LOWEST_PRIORITY: Final = 19


class Scorer:
    """Runs from the server's start to its close, in a thread of its own. Inferences do not wait for it."""

    def __init__(self, queues: DeviceQueues, *, idle_s: float, most_series: int) -> None:
        """Nobody may have segmented for ``idle_s``; of a PACS, ``most_series`` are fetched and scored."""
        self.queues, self.idle_s, self.most_series = queues, idle_s, most_series
        self.busy_with = ""
        """Id of the scan that is being scored."""

        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring", initializer=_calm_down)
        self._closing = threading.Event()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._gone: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    @property
    def cases(self) -> CaseScores:
        """The worklist of the app."""
        cases: CaseScores = monai_label_app().cases
        return cases

    def start(self) -> None:
        """On the event loop."""
        self._task = asyncio.create_task(self._run())

    def hurry(self) -> None:
        """Look for work now; on the event loop."""
        self._hurry.set()

    async def close(self) -> None:
        """Give up the scan under way; it is scored by the next server."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await run_sync(partial(self._pool.shutdown, cancel_futures=True))

    def open_images(self) -> list[str]:
        """Ids of the scans whose score is missing or out of date, those with a new label first.

        Raises:
            PacsError: the PACS does not answer.
        """
        app = monai_label_app()
        datastore, version = app.datastore(), app.model_version()
        if not version:
            return []
        scores = self.cases.store.of_version(version)
        images = newest_first(datastore)
        if isinstance(datastore, PacsDatastore):
            images = images[: self.most_series]
        found = []
        for image in images:
            known = scores.get(image)
            if known is None or {"image_stamp": known.image_stamp, "label_stamp": known.label_stamp} != _stamps(
                datastore, image
            ):
                found.append(image)
        return sorted(found, key=lambda image: image not in scores)

    async def _run(self) -> None:
        while True:
            pause = LOOK_INTO_PACS_EVERY_S if _datastore_is_pacs() else LOOK_EVERY_S
            self._hurry.clear()
            try:
                await run_sync(self._tidy)
                if image := await run_sync(self._next):
                    await self._one(image)
                    continue
            except asyncio.CancelledError:
                raise
            except (PacsError, ModelError) as error:
                logger.info("scoring waits: %s", error)
                pause = PAUSE_AFTER_TROUBLE_S
            except Exception:
                logger.exception("scoring failed unexpectedly")
                pause = PAUSE_AFTER_TROUBLE_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)

    def _next(self) -> str | None:
        now = time.monotonic()
        return next((image for image in self.open_images() if now >= self._not_before.get(image, 0.0)), None)

    async def _one(self, image: str) -> None:
        while True:
            task: HemorrhageInferTask | None = monai_label_app()._infers.get(TASK_NAME)
            if task is None:
                raise ModelError("there is no model any more")
            device = task.device_of(InferParams())
            if self.queues.idle_seconds(device) >= self.idle_s:
                break
            await asyncio.sleep(min(self.idle_s, 0.5))
        self.busy_with = image
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._score, image, task, device)
        except Interrupted:  # somebody segments; the scan's turn comes again
            return
        except PacsError as error:
            await run_sync(self._not_fetched, image, task.model.info.version, error)
        finally:
            self.busy_with = ""

    def _score(self, image: str, task: HemorrhageInferTask, device: str) -> None:
        app = monai_label_app()
        datastore = app.datastore()
        stamps = _stamps(datastore, image)

        def give_way() -> None:
            if self._closing.is_set() or self.queues.idle_seconds(device) == 0:
                raise Interrupted

        def label() -> str:
            return str(datastore.get_label_uri(image, FINAL) or "") if stamps["label_stamp"] else ""

        values: dict[str, Any]
        try:
            with image_in_use(app, image) as path:
                scored = score_scan(path, label, task.predictor(device), app.reading, give_way)
            values, thumbnail = scored.values, scored.thumbnail
        except (Interrupted, PacsError):
            raise
        except AmdDasError as error:
            values, thumbnail = {"error": f"{error.code}: {error}"}, b""
        except Exception as error:
            logger.exception("%s could not be scored", image)
            values, thumbnail = {"error": f"unexpected {type(error).__name__}"}, b""
        score = CaseScore(image=image, version=task.model.info.version, **stamps, **values)
        self.cases.store.put(score, thumbnail)
        self._attempts.pop(image, None)
        leave_notes(datastore, score)

    def _not_fetched(self, image: str, version: str, error: PacsError) -> None:
        """Later again, and given up after some attempts, unless the PACS gives nothing at all."""
        datastore = monai_label_app().datastore()
        if isinstance(datastore, PacsDatastore) and datastore.trouble is not None:
            raise error
        self._attempts[image] = self._attempts.get(image, 0) + 1
        self._not_before[image] = time.monotonic() + PAUSE_AFTER_TROUBLE_S
        logger.info("%s is not scored yet: %s", image, error)
        if self._attempts[image] >= FETCH_ATTEMPTS:
            del self._attempts[image]
            reason = f"{error.code}: {error}"
            self.cases.store.put(CaseScore(image=image, version=version, error=reason, **_stamps(datastore, image)))

    def _tidy(self) -> None:
        """Forget scans that are gone, and note again what a PACS's notes have lost with the last server."""
        app = monai_label_app()
        datastore, version = app.datastore(), app.model_version()
        images = set(datastore.list_images())
        if not images:  # an empty folder may be one that is not mounted
            return
        gone = self.cases.store.images() - images
        self.cases.store.forget(gone & self._gone)  # MONAI Label's list is short while it is being read anew
        self._gone = gone
        for image, score in self.cases.store.of_version(version).items():
            if image in images and datastore.get_image_info(image).get(NOTE, {}).get("model") != version:
                leave_notes(datastore, score)


def _datastore_is_pacs() -> bool:
    return isinstance(monai_label_app().datastore(), PacsDatastore)


def _stamps(datastore: Datastore, image: str) -> dict[str, str]:
    return {"image_stamp": image_stamp(datastore, image), "label_stamp": label_stamp(datastore, image)}


def _calm_down() -> None:
    """Let every other thread of the machine go first; threads that this one starts inherit it."""
    if sys.platform == "linux":  # elsewhere it would slow down the whole server
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
