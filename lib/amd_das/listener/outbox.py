"""Results on their way to a DICOM node: sent until they have arrived, each instance once."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from amd_das.errors import PacsUnreachableError
from amd_das.listener.loop import Loop
from amd_das.listener.sending import Node, RefusedError, send
from amd_das.listener.spool import RECORD, Spool

logger = logging.getLogger(__name__)

SHORTEST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
"""Between attempts, doubled each time (ours)."""

GIVE_UP_S: Final = 7 * 86400.0
"""An instance that the destination refuses all this time is put aside (ours)."""


@dataclass(kw_only=True)
class _Patience:
    """How long to wait after how many failures."""

    failures: int = 0
    until: float = 0.0

    def failed(self) -> float:
        seconds = min(SHORTEST_WAIT_S * 2**self.failures, LONGEST_WAIT_S)
        self.failures += 1
        self.until = time.monotonic() + seconds
        return seconds


@dataclass(eq=False)
class Outbox:
    """Sends what lies in a spool's ``outgoing``, in a thread; what has arrived is removed file by file.

    Killed between an instance's arrival and its removal, the instance is sent again under the same UID.
    """

    spool: Spool
    destination: Node
    aet: str
    is_ready: Callable[[str], bool] = lambda job_id: True
    """Whether the job of this id is finished, so that it will not be done again."""

    on_delivered: Callable[[str, float], None] = lambda job_id, seconds: None
    """Told the job's id once all of its result has arrived, and how long the last attempt took."""

    _line: _Patience = field(default_factory=_Patience)
    _refusals: dict[str, _Patience] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = Loop("sending", self._turn)
        """Started, it begins with what an earlier process left; stopped, it finishes the instance under way."""

    def _turn(self) -> bool:
        try:
            self._send_all()
        except Exception:
            self._line.failed()
            raise
        return False

    def _send_all(self) -> None:
        for folder in self.spool.results():
            now = time.monotonic()
            patience = self._refusals.get(folder.name)
            if self.loop.stopping.is_set() or now < self._line.until:
                return
            if (patience is None or now >= patience.until) and self.is_ready(folder.name):
                self._send_one(folder)

    def _send_one(self, folder: Path) -> None:
        started = time.monotonic()
        case = self.spool.record(folder).get("case_id", folder.name)
        files = sorted(folder.glob("*.dcm"))
        try:
            if files:
                send(
                    files,
                    self.destination,
                    aet=self.aet,
                    on_sent=self.spool.remove_sent,
                    stopping=self.loop.stopping.is_set,
                )
        except RefusedError as error:
            self._line = _Patience()
            seconds = self._refusals.setdefault(folder.name, _Patience()).failed()
            if time.time() - (folder / RECORD).stat().st_mtime > GIVE_UP_S:
                logger.error("%s: the result: %s; put aside as refused", case, error)
                self.spool.drop_result(folder, refused=True)
                return
            logger.warning("%s: the result: %s; next attempt in %.0f s", case, error, seconds)
            return
        except PacsUnreachableError as error:
            seconds = self._line.failed()
            logger.warning("%s; results are kept, next attempt in %.0f s", error, seconds)
            return
        self._line = _Patience()
        if list(folder.glob("*.dcm")):  # told to stop
            return
        self._refusals.pop(folder.name, None)
        self.on_delivered(folder.name, time.monotonic() - started)
        self.spool.drop_result(folder)
        logger.info("%s: the result, %d instances, has arrived at %s", case, len(files), self.destination)
