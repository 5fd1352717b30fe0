"""A DICOM node that takes CT series, segments them, and sends the results on: ``amd-das listen``."""

import io
import logging
import re
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.events import Event

from amd_das.errors import ConfigError, NotFoundError
from amd_das.listener.arrivals import Arrivals
from amd_das.listener.config import ListenConfig
from amd_das.listener.outbox import Outbox
from amd_das.listener.spool import GIB, Spool, SpoolFullError, instance_name
from amd_das.listener.worker import ModelInUse, Worker
from amd_das.pacs.dicomweb import DicomWeb
from amd_das.pacs.jobs import JobStore
from amd_das.pacs.priors import find_prior_of
from amd_das.reading.dicom_files import CT_CLASSES, series_case_id

logger = logging.getLogger(__name__)

SUCCESS, OUT_OF_RESOURCES, WRONG_CLASS, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
"""Statuses of C-STORE (PS3.4 B.2.3)."""

TRANSFER_SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    *JPEGTransferSyntaxes,
    *JPEGLSTransferSyntaxes,
    *JPEG2000TransferSyntaxes,
)
"""What the reader can decode; nothing deflated, whose size in memory cannot be known."""

MAX_ASSOCIATIONS: Final = 16
IDLE_S: Final = 60.0
"""After this long without a word an association is broken off."""

HOUSEKEEPING_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2
_STOP_S: Final = 4.0
_VERIFICATION: Final = "1.2.840.10008.1.1"
_UID = re.compile(r"[0-9.]{1,64}")
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


class Listener:
    """All of it: the node, the segmenting thread, the outbox."""

    def __init__(self, config: ListenConfig, model: ModelInUse) -> None:
        """Take the spool folder; raises ConfigError where it or the job store cannot be used."""
        self.config, self.model = config, model
        self.spool = Spool(
            config.spool,
            max_bytes=int(config.max_gb * GIB),
            keep_hours=config.keep_hours,
            refused_days=config.refused_days,
        )
        self.store = JobStore(config.spool / "jobs.sqlite")
        self.arrivals = Arrivals(self.spool, quiet_s=config.quiet_s, broken_quiet_s=config.broken_quiet_s)
        self.outbox = Outbox(self.spool, config.destination, config.aet, self._is_finished, self._delivered)
        prior = partial(find_prior_of, DicomWeb(config.pacs)) if config.pacs else None
        self.worker = Worker(self.spool, self.store, model, config.formats, prior, self.outbox.loop.wake)
        self.port = 0
        self._stopping = threading.Event()
        self._receiving = threading.Semaphore(MAX_ASSOCIATIONS)
        self._watcher = threading.Thread(target=self._watch, name="arrivals", daemon=True)
        self._ae = self._application_entity()

    def start(self) -> None:
        """Go on where an earlier process ended, and listen; raises ConfigError for an address that is not to be had."""
        for name in ("pynetdicom", "pydicom", "highdicom"):  # theirs hold UIDs and values of the patient's
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        config = self.config
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_RELEASED, self._on_released),
            (evt.EVT_ABORTED, self._on_broken),
            (evt.EVT_CONN_CLOSE, self._on_broken),
            (evt.EVT_REJECTED, self._on_rejected),
        ]
        try:
            server = self._ae.start_server((config.host, config.port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {config.host} port {config.port}: {error.strerror}; stop what uses it, or choose "
                "another with --port"
            ) from None
        assert server is not None and server.socket is not None
        self.port = server.socket.getsockname()[1]
        self.worker.start()
        self.outbox.loop.start()
        self._watcher.start()

    def stop(self) -> None:
        """Finish the instances being received and sent, leave the rest for the next start."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_S
        for _ in range(MAX_ASSOCIATIONS):  # all of them: nobody is writing
            self._receiving.acquire(timeout=max(0.0, deadline - time.monotonic()))
        self._ae.shutdown()
        self.outbox.loop.stop(_STOP_S)
        self.worker.loop.stop(_STOP_S)
        self._watcher.join(_STOP_S)
        self.spool.close()

    def _application_entity(self) -> AE:
        ae = AE(ae_title=self.config.aet)
        ae.require_called_aet = True
        ae.require_calling_aet = list(self.config.allow)
        ae.maximum_associations = MAX_ASSOCIATIONS
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = IDLE_S
        ae.add_supported_context(_VERIFICATION)
        for kind in CT_CLASSES:
            ae.add_supported_context(kind, list(TRANSFER_SYNTAXES))
        return ae

    def _on_store(self, event: Event) -> int:
        with self._receiving:
            if self._stopping.is_set():
                return OUT_OF_RESOURCES
            try:
                return self._keep(event)
            except SpoolFullError as error:
                logger.error("out of resources: %s", error)
                return OUT_OF_RESOURCES
            except Exception:
                logger.exception("an instance could not be kept")
                return OUT_OF_RESOURCES

    def _keep(self, event: Event) -> int:
        content = event.encoded_dataset()
        uids = read_uids(content)
        if uids is None:
            logger.warning("an instance without readable UIDs was refused")
            return NOT_UNDERSTOOD
        request: Any = event.request
        if (uids["SOPClassUID"], uids["SOPInstanceUID"]) != (
            request.AffectedSOPClassUID,
            request.AffectedSOPInstanceUID,
        ):
            logger.warning("an instance that is not what its request says was refused")
            return WRONG_CLASS
        series = series_case_id(uids["SeriesInstanceUID"])
        waiting = self.store.count("queued") + self.arrivals.under_way
        if not self.arrivals.knows(series) and waiting >= self.config.max_waiting:
            logger.error("out of resources: %d series are under way or wait", waiting)
            return OUT_OF_RESOURCES
        self.arrivals.receive(event.assoc, series, instance_name(uids["SOPInstanceUID"]), content)
        return SUCCESS

    def _on_released(self, event: Event) -> None:
        self.arrivals.ended(event.assoc, released=True)

    def _on_broken(self, event: Event) -> None:
        self.arrivals.ended(event.assoc, released=False)

    def _on_rejected(self, event: Event) -> None:
        requestor = event.assoc.requestor
        logger.warning("an association from %r at %s was rejected", str(requestor.ae_title)[:16], requestor.address)

    def _watch(self) -> None:
        """Make jobs of series that are complete; keep the house in order."""
        tidied = 0.0
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                for series, broken in self.arrivals.complete():
                    self._submit(series, broken=broken)
                if time.monotonic() - tidied > HOUSEKEEPING_S:
                    tidied = time.monotonic()
                    self.spool.expire()
                    self.store.expire()
            except Exception:
                logger.exception("the spool could not be looked after; it is tried again")
                self._stopping.wait(5.0)

    def _submit(self, series: str, *, broken: bool) -> None:
        """A job for what has come of a series, unless there is one for exactly that; what failed is tried again."""
        content = self.spool.content(series)
        if not content:
            if self.arrivals.settle(series):
                self.spool.drop_empty(series)
            return
        uids = read_uids(self.spool.files(series)[0].read_bytes()) or {}
        study_uid, series_uid = uids["StudyInstanceUID"], uids["SeriesInstanceUID"]
        jobs = self.store.list(series_uid=series_uid)
        same = next((job for job in jobs if job.options["content"] == content and job.state != "failed"), None)
        options = {"content": content, "formats": list(self.config.formats), "broken": broken}
        job = same or self.store.submit(study_uid, series_uid, self.model.version, options=options, force=True)[0]
        if not self.arrivals.settle(series):
            return
        if same is None:
            count, place = len(self.spool.files(series)), self.store.position(job.id)
            logger.info("%s: %d instances have come, place %s in the line", series, count, place)
            self.worker.loop.wake()
        elif job.state == "done":
            self.spool.mark_done(series, content)

    def _is_finished(self, job_id: str) -> bool:
        try:
            return self.store.get(job_id).state == "done"
        except NotFoundError:
            return True  # expired long since

    def _delivered(self, job_id: str, seconds: float) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self.store.amend(job_id, delivered=now, sending_s=round(seconds, 3))
        except NotFoundError:
            logger.info("job %s has expired", job_id)


def read_uids(content: bytes) -> dict[str, str] | None:
    """The UIDs that say what an instance is and where it belongs; None if one is missing or no UID."""
    try:
        header = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_UIDS))
        uids = {name: str(header.get(name, "")) for name in _UIDS}
    except Exception:  # pydicom raises whatever broken bytes provoke
        return None
    return uids if all(_UID.fullmatch(uid) for uid in uids.values()) else None
