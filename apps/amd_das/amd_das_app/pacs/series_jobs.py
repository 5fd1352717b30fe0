"""Series of the PACS segmented one after the other, in line with single requests; jobs outlive the server."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync

from amd_das.errors import AmdDasError, InputError, ModelError, PacsError, PacsUnreachableError, TooLargeError
from amd_das.output.dicom import Prior
from amd_das.pacs.job import PacsJob
from amd_das.pacs.jobs import JobStore
from amd_das.pacs.priors import find_prior
from amd_das.pacs.processing import Processed, process_series
from amd_das.pacs.series import SeriesInfo
from amd_das_app.errors import BusyError
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import TASK_NAME
from amd_das_app.monai_app import find_task, monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.pacs.series_results import SeriesResults
from amd_das_app.requests.images import image_at_hand
from amd_das_app.requests.params import InferParams

logger = logging.getLogger(__name__)

WORKERS: Final = 2
"""Series under way at a time: while one is segmented, the next is fetched or the last one stored (ours)."""

MAX_ATTEMPTS: Final = 8
"""Of a job that fails because of the PACS or the model: with the waits between them about a quarter of an hour."""

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
KEEP_FINISHED, KEEP_DAYS = 500, 7.0
"""Finished jobs and their results that are kept (ours)."""

TIDY_S: Final = 600.0
_LOOK_EVERY_S: Final = 1.0
_NO_ANSWER: Final = ("pacs", "model", "internal")
"""Codes of errors that say nothing about the series."""

_TRANSIENT: Final = (PacsError, ModelError, OSError)


class SeriesJobs:
    """The jobs of one server, from its start to its close."""

    def __init__(self, folder: Path, queues: DeviceQueues) -> None:
        """``folder`` is this server's own and private; nothing is touched before the start."""
        self.folder, self.queues = folder, queues
        self.results = SeriesResults(folder / "results")
        self.store: JobStore
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the store, take up what an earlier server left, and work from now on."""
        await run_sync(self._open)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._tidy()))

    async def close(self) -> None:
        """Stop; what is under way is begun again by the next server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await run_sync(self.store.close)

    def submit(
        self, series: SeriesInfo, model_version: str, options: Mapping[str, Any], *, force: bool
    ) -> tuple[PacsJob, bool]:
        """A job for one series, and whether it is new.

        The same question gives the same job unless forced: a series that has grown is another question, and a job that
        failed for want of the PACS or the model is not an answer.
        """
        options = {**options, "instances": series.instances}
        submit = partial(self.store.submit, series.study_uid, series.series_uid, model_version, options=options)
        job, new = submit(force=force)
        if not new and job.state == "failed" and job.error_code.startswith(_NO_ANSWER):
            job, new = submit(force=True)
        return job, new

    def wake(self) -> None:
        """There is a new job; on the event loop."""
        self._news.set()

    def _open(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.results.prepare()
        self.store = JobStore(self.folder / "jobs.sqlite", keep_finished=KEEP_FINISHED, keep_days=KEEP_DAYS)
        if count := self.store.requeue_interrupted():
            logger.warning("%d job(s) on series were under way when a server ended; they are begun again", count)

    async def _work(self) -> None:
        while True:
            self._news.clear()
            job = None
            try:
                job = await run_sync(self.store.claim)
                if job is not None:
                    await self._one(job)
            except asyncio.CancelledError:
                if job is not None:
                    self.store.release(job.id)
                raise
            except Exception:
                logger.exception("a job on a series failed")
                if job is not None:
                    self.store.fail(job.id, "an error inside the server; its log says more")
            if job is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)

    async def _one(self, job: PacsJob) -> None:
        """A job to its end, or back into the line."""
        try:
            if not self.results.has(job.id):
                await self._segment(job)
            record = await run_sync(self.results.record, job.id)
            if job.options["store"]:
                started = time.perf_counter()
                datasets = await run_sync(self.results.datasets, job.id)
                await run_sync(_datastore().web.store, datasets)
                record["latencies_s"]["store"] = round(time.perf_counter() - started, 3)
            record["stored"] = job.options["store"]
            version = record["model"]["version"]
            await run_sync(partial(self.store.finish, job.id, record, model_version=version))
        except InputError as error:
            self.store.fail(job.id, str(error), code=error.code)
        except _TRANSIENT as error:
            self._again_or_never(job, error)
        except AmdDasError as error:
            self.store.fail(job.id, str(error), code=error.code)

    def _again_or_never(self, job: PacsJob, error: Exception) -> None:
        code = error.code if isinstance(error, AmdDasError) else "internal"
        detail = str(error) if isinstance(error, AmdDasError) else "the result could not be written on the server"
        logger.warning("job %s, attempt %d: %s", job.id, job.attempts, error)
        hopeless = isinstance(error, PacsError) and not isinstance(error, PacsUnreachableError) and job.attempts >= 3
        if hopeless or job.attempts >= MAX_ATTEMPTS:
            self.store.fail(job.id, detail, code=code)
        else:
            wait = min(FIRST_WAIT_S * 2 ** (job.attempts - 1), LONGEST_WAIT_S)
            self.store.postpone(job.id, detail, wait, code=code)

    async def _segment(self, job: PacsJob) -> None:
        task = find_task(TASK_NAME)
        device = task.device_of(InferParams())
        datastore = _datastore()
        series = SeriesInfo(study_uid=job.study_uid, series_uid=job.series_uid)
        started = time.perf_counter()
        async with image_at_hand(monai_label_app(), job.series_uid) as folder:
            prior = await run_sync(_prior, datastore, series) if "sr" in job.options["formats"] else None
            fetched = time.perf_counter() - started

            def segment() -> Processed:
                try:
                    return process_series(
                        folder,
                        task.predictor(device),
                        formats=job.options["formats"],
                        reading=datastore.reading,
                        prior=lambda volume: prior,
                    )
                except MemoryError:
                    raise TooLargeError("the series needs more memory than this server has") from None

            done, waited = await self._in_line(device, segment)
        done.record["latencies_s"] |= {"fetch": round(fetched, 3), "queue": round(waited, 3)}
        await run_sync(self.results.keep, job.id, done)

    async def _in_line(self, device: str, call: Callable[[], Processed]) -> tuple[Processed, float]:
        """Jobs have time: a full line is waited for."""
        while True:
            try:
                return await self.queues.run(device, call)
            except BusyError:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _tidy(self) -> None:
        while True:
            try:
                await run_sync(self._expire)
            except Exception:
                logger.exception("old jobs could not be removed")
            await asyncio.sleep(TIDY_S)

    def _expire(self) -> None:
        self.results.remove(self.store.expire())
        known = {job.id for job in self.store.list(limit=10**6)}
        self.results.remove([job_id for job_id in self.results.ids() if job_id not in known])


def _datastore() -> PacsDatastore:
    datastore: PacsDatastore = monai_label_app().datastore()
    return datastore


def _prior(datastore: PacsDatastore, series: SeriesInfo) -> Prior | None:
    """An earlier result, if the PACS tells; that it does not costs the comparison only."""
    try:
        return find_prior(datastore.web, series)
    except AmdDasError as error:
        logger.warning("%s: no comparison with an earlier CT: %s", series.case_id, error)
        return None
