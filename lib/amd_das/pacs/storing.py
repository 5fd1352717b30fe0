"""What a PACS says about objects it was sent."""

from typing import Any, Final

import requests
from pydicom.dataset import Dataset

_REASONS: Final = {
    0x0110: "processing failure",
    0x0117: "invalid object instance",
    0x0122: "its kind of object is not supported",
    0x0124: "not authorised",
    0x0131: "not authorised",
    0x0211: "the operation is not supported",
    0xA700: "out of resources",
    0xA900: "it does not match its kind of object",
    0xC000: "cannot be understood",
    0xC122: "its transfer syntax is not supported",
}
"""FailureReason, DICOM PS3.18 I.2 and PS3.4 B.2.3; without the last digits where those are free."""


def as_file(dataset: Dataset) -> Dataset:
    """With the preamble and the file meta information that belong in front; a PACS may keep what it gets as it is."""
    if not getattr(dataset, "preamble", None):
        dataset.preamble = b"\0" * 128
    dataset.fix_meta_info(enforce_standard=True)
    return dataset


def reason(code: int) -> str:
    """A FailureReason in words."""
    known = _REASONS.get(code) or _REASONS.get(code & 0xFF00) or _REASONS.get(code & 0xF000)
    return f"{known or 'refused'} ({code:#06x})"


def failures(answer: Dataset | requests.Response | None) -> list[str]:
    """What a STOW-RS answer, or the body of an error, says was not stored; empty where it names none."""
    if isinstance(answer, requests.Response):
        try:
            body: Any = answer.json()
            answer = Dataset.from_json(body[0] if isinstance(body, list) else body)
        except Exception:  # a page of HTML, an empty body, JSON that is not DICOM's
            return []
    failed = (answer.get("FailedSOPSequence") if answer is not None else None) or []
    return [f"object {number + 1}: {reason(int(one.get('FailureReason') or 0))}" for number, one in enumerate(failed)]


def stored_count(answer: Dataset) -> int | None:
    """How many objects the answer confirms; None where it does not list them."""
    confirmed = answer.get("ReferencedSOPSequence")
    return len(confirmed) if confirmed else None
