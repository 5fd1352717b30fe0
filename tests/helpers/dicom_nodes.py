"""A router that sends series and a PACS that takes results, on loopback."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association

from amd_das.listener.sending import Node

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


class Receiver:
    """Takes every object and keeps it; can be stopped and started again on the same port."""

    def __init__(self, aet: str = "PACS", status: int = 0x0000) -> None:
        self.aet, self.status, self.port = aet, status, 0
        self.received: list[Dataset] = []
        self.callers: set[str] = set()
        self._ae: AE | None = None

    def start(self) -> "Receiver":
        ae = AE(ae_title=self.aet)
        ae.require_called_aet = True
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._take)])
        assert server is not None and server.socket is not None
        self.port = server.socket.getsockname()[1]
        self._ae = ae
        return self

    def stop(self) -> None:
        if self._ae is not None:
            self._ae.shutdown()
            self._ae = None

    def _take(self, event: Any) -> int:
        if self.status == 0x0000:
            self.callers.add(event.assoc.requestor.ae_title)
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
        return self.status

    @property
    def node(self) -> Node:
        return Node(aet=self.aet, host="127.0.0.1", port=self.port)

    def modalities(self) -> Counter[str]:
        """How many objects of each modality have come."""
        return Counter(dataset.Modality for dataset in list(self.received))

    def uids(self) -> list[str]:
        """SOPInstanceUIDs in the order of their coming."""
        return [dataset.SOPInstanceUID for dataset in list(self.received)]


def connect(
    port: int, *, calling: str = "ROUTER", called: str = "AMDDAS", classes: Sequence[str] = (CT_IMAGE,)
) -> Association:
    """An association with the listener, established or not."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    for kind in (VERIFICATION, *classes):
        ae.add_requested_context(kind, [ExplicitVRLittleEndian])
    return ae.associate("127.0.0.1", port, ae_title=called)


def send_series(
    port: int, datasets: Sequence[Dataset], *, release: bool = True, calling: str = "ROUTER"
) -> list[int | None]:
    """Over one association, ended in order or broken off; the status of each, None where no answer came."""
    association = connect(port, calling=calling)
    assert association.is_established
    statuses: list[int | None] = []
    for dataset in datasets:
        try:
            answer = association.send_c_store(dataset)
        except RuntimeError:
            statuses.append(None)
            continue
        statuses.append(answer.Status if "Status" in answer else None)
    if association.is_established:
        (association.release if release else association.abort)()
    return statuses


def wait_for(condition: Callable[[], object], what: str = "it", seconds: float = 60.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        threading.Event().wait(0.05)
