"""C-STORE to another DICOM node."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from amd_das.errors import ConfigError, PacsError, PacsUnreachableError

AE_TITLE: Final = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
"""1 to 16 printable characters but the backslash, no blank at either end (PS3.5, VR AE)."""

_CONNECT_S, _ANSWER_S = 10.0, 60.0
_UNCOMPRESSED: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


class RefusedError(PacsError):
    """The destination answers, but will not take an instance."""

    code = "pacs_refused"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A DICOM node to send to."""

    aet: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.aet}@{self.host}:{self.port}"


def check_ae_title(title: str) -> str:
    """Raises ConfigError for what is no AE title."""
    if not AE_TITLE.fullmatch(title):
        raise ConfigError(f"AE title {title!r}: expected 1 to 16 printable characters without a backslash")
    return title


def parse_node(text: str) -> Node:
    """``AET@HOST:PORT``; raises ConfigError."""
    found = re.fullmatch(r"([^@]+)@\[?([^@\s]+?)\]?:(\d{1,5})", text.strip())
    if not found or not 0 < int(found[3]) < 65536:
        raise ConfigError(f"destination {text!r}: expected AET@HOST:PORT, such as ORTHANC@127.0.0.1:4242")
    return Node(aet=check_ae_title(found[1]), host=found[2], port=int(found[3]))


def send(
    files: Sequence[Path],
    destination: Node,
    *,
    aet: str,
    on_sent: Callable[[Path], None],
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """C-STORE files over one association, in their order.

    Args:
        files: DICOM files.
        destination: where to.
        aet: the AE title to call from.
        on_sent: told of each file that has arrived, as soon as it has.
        stopping: asked before each file; the rest is left unsent once it says yes.

    Raises:
        PacsUnreachableError: no association, or it broke off; later files were not tried.
        RefusedError: some were refused; all were tried.
    """
    ae = AE(ae_title=aet)
    ae.connection_timeout, ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = (
        _CONNECT_S,
        _ANSWER_S,
        _ANSWER_S,
        _ANSWER_S,
    )
    association = ae.associate(destination.host, destination.port, contexts=_contexts(files), ae_title=destination.aet)
    if not association.is_established:
        why = "turned us away" if association.is_rejected else "does not answer"
        if association.is_aborted and not association.acceptor.primitive:
            why = "does not answer"
        raise PacsUnreachableError(f"{destination} {why}; check that it runs and knows the AE title {aet}")
    refused: list[str] = []
    try:
        for path in files:
            if stopping():
                return
            if complaint := _store(association, path, destination):
                refused.append(complaint)
            else:
                on_sent(path)
    finally:
        if association.is_established:
            association.release()
    if refused:
        raise RefusedError(f"{destination} refused {len(refused)} of {len(files)} instances: {refused[0]}")


def _store(association: Association, path: Path, destination: Node) -> str:
    """What the destination has against an instance; empty if it took it."""
    try:
        answer = association.send_c_store(path)
    except ValueError as error:  # no presentation context for it was accepted
        return f"it takes no such objects ({dcmread(path, stop_before_pixels=True).SOPClassUID.name}: {error})"
    except (RuntimeError, OSError) as error:
        raise PacsUnreachableError(f"{destination} broke off while receiving results") from error
    if "Status" not in answer:
        raise PacsUnreachableError(f"{destination} broke off, or did not answer within {_ANSWER_S:g} s")
    status: int = answer.Status
    if status == 0 or status >> 12 == 0xB:  # success, or stored with a warning
        return ""
    return f"status 0x{status:04X}"


def _contexts(files: Sequence[Path]) -> list[PresentationContext]:
    """One presentation context for each kind of object."""
    wanted: dict[str, list[str]] = {}
    for path in files:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        syntax = header.file_meta.TransferSyntaxUID
        offered = wanted.setdefault(header.SOPClassUID, [])
        offered += [one for one in (_UNCOMPRESSED if syntax in _UNCOMPRESSED else [syntax]) if one not in offered]
    return [build_context(kind, syntaxes) for kind, syntaxes in wanted.items()]
