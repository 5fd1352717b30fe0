"""The thread that segments: one series at a time, from the job store to the outbox."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amd_das.errors import AmdDasError, InputError, ModelError, UnreadableError
from amd_das.inference import Predictor
from amd_das.listener.loop import Loop
from amd_das.listener.spool import Spool, ordered_names
from amd_das.models import current_version, default_model_dir, load_current
from amd_das.pacs.job import PacsJob
from amd_das.pacs.jobs import INTERRUPTED, JobStore
from amd_das.pacs.processing import FindPrior, process_series
from amd_das.reading.dicom_files import series_case_id

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""Of a series that fails for reasons of ours, such as a full disk."""

RETRY_S: Final = 30.0

BROKEN_OFF: Final = (
    "the connection broke off while this series was sent, and was not taken up again: slices may be missing"
)
SUPERSEDED: Final = "superseded"


class Stopped(BaseException):
    """The program is to end; what is under way is begun again after the next start."""


class ModelInUse:
    """One predictor in memory, exchanged when another version is put to use."""

    def __init__(self, model_dir: Path | None = None, device: str | None = None) -> None:
        """Raises ModelError where there is no sound model, ConfigError where there is no such device."""
        self.model_dir, self.device = model_dir or default_model_dir(), device
        self._predictor = Predictor(load_current(self.model_dir), device=device)
        self._looked_for = self._predictor.info.version

    @property
    def version(self) -> str:
        """Of the predictor in memory."""
        return self._predictor.info.version

    def predictor(self) -> Predictor:
        """With the version now chosen; a damaged one is reported, and the one before it stays."""
        try:
            chosen = current_version(self.model_dir)
            if chosen != self._looked_for:
                self._looked_for = chosen
                self._predictor = Predictor(load_current(self.model_dir), device=self.device)
                logger.info("model %s is in use now", chosen)
        except ModelError as error:
            logger.error("model %s still serves: %s", self.version, error)
        return self._predictor


@dataclass(eq=False)
class Worker:
    """Takes jobs in their order until it is stopped."""

    spool: Spool
    store: JobStore
    model: ModelInUse
    formats: Sequence[str]
    prior: FindPrior | None = None
    """Looks up an earlier result."""

    on_result: Callable[[], None] = lambda: None
    """Told when a result lies in ``outgoing``."""

    def __post_init__(self) -> None:
        self.loop = Loop("segmenting", self._turn, pause_s=5.0)
        """Stopped, it puts the job under way back into the line."""

    def start(self) -> None:
        """Begin with what an earlier process left: what is published already is not made again."""
        for folder in self.spool.results():
            for job in self.store.interrupted():
                if job.id == folder.name:
                    self._finish(job, self.spool.record(folder))
        if count := self.store.requeue_interrupted():
            logger.info("%d series were under way when an earlier process ended", count)
        for job in self.store.list("failed"):
            if job.error_code == INTERRUPTED:
                self._put_aside(job)
        self.loop.start()

    def _turn(self) -> bool:
        job = self.store.claim()
        if job is None:
            return False
        try:
            self._work(job)
        except Stopped:
            self.store.release(job.id)
        return True

    def _work(self, job: PacsJob) -> None:
        case = series_case_id(job.series_uid)
        content = job.options["content"]
        try:
            if self.spool.content(case) != content:
                self._supersede(job, case)
                return
            logger.info("%s: segmenting", case)
            record, files = self._process(job, case)
            if self.spool.content(case) != content:
                self._supersede(job, case)
                return
            self.spool.publish(job.id, files, record)
        except InputError as error:
            self._refuse(job, case, error)
            return
        except Exception as error:
            known = isinstance(error, AmdDasError)
            logger.error("%s: %s", case, error if known else type(error).__name__, exc_info=None if known else error)
            why = str(error) if known else f"unexpected {type(error).__name__}"
            if job.attempts < MAX_ATTEMPTS:
                self.store.postpone(job.id, why, RETRY_S)
            else:
                self._refuse(job, case, AmdDasError(why))
            return
        self._finish(job, record)
        self.on_result()

    def _process(self, job: PacsJob, case: str) -> tuple[dict[str, Any], dict[str, Any]]:
        def look_up(stage: str, fraction: float) -> None:
            if self.loop.stopping.is_set():
                raise Stopped

        received = self._count(job, case)
        done = process_series(
            self.spool.incoming / case,
            self.model.predictor(),
            formats=self.formats,
            prior=self.prior,
            warnings=[BROKEN_OFF] if job.options.get("broken") else [],
            progress=look_up,
        )
        return {**done.record, "received": received}, ordered_names(done.objects)

    def _count(self, job: PacsJob, case: str) -> int:
        """Instances that have come; raises UnreadableError for late ones after the others have been removed."""
        count = len(self.spool.files(case))
        earlier = [one.result["received"] for one in self.store.list("done", series_uid=job.series_uid) if one.result]
        if earlier and count < max(earlier):
            raise UnreadableError(
                f"{count} instances of this series came after its result had been made from {max(earlier)}, and those "
                "are no longer kept; send the whole series again"
            )
        return count

    def _finish(self, job: PacsJob, record: dict[str, Any]) -> None:
        case = series_case_id(job.series_uid)
        self.store.finish(job.id, record, model_version=record["model"]["version"])
        self.spool.mark_done(case, job.options["content"])

    def _supersede(self, job: PacsJob, case: str) -> None:
        logger.info("%s: more of this series has come; it is segmented as a whole once that ends", case)
        self.store.fail(job.id, "more of this series came; a later job stands for all of it", code=SUPERSEDED)

    def _refuse(self, job: PacsJob, case: str, error: AmdDasError) -> None:
        logger.warning("%s: refused: %s", case, error)
        self._put_aside(self.store.fail(job.id, str(error), code=error.code))

    def _put_aside(self, failed: PacsJob) -> None:
        case = series_case_id(failed.series_uid)
        reason = {
            "job": failed.id,
            "case_id": case,
            "error": failed.error_code,
            "detail": failed.error,
            "finished": failed.finished,
        }
        self.spool.refuse(case, failed.options["content"], reason)
