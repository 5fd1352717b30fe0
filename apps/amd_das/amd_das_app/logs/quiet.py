"""Nothing about patients in the log: libraries are quiet, and every UID is named by its hash."""

import logging
import re
from typing import Final

from amd_das.reading.dicom_files import series_case_id

_UID = re.compile(r"(?<![\d.])(?:[0-2](?:\.\d+){5,}|2\.25\.\d{10,})")

_LEVELS: Final = {
    "highdicom": logging.WARNING,  # tells what it copies
    "httpx": logging.WARNING,  # tells every request, with the names that a viewer's user searches for
    "monailabel.endpoints.activelearning": logging.WARNING,  # tells all about the next sample
    "monailabel.tasks.activelearning": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,  # tells the request that it repeats
}


def without_uids(text: str) -> str:
    """UIDs, but for the standard's own, as case ids; the same UID gives the same id."""
    return _UID.sub(lambda found: found[0] if found[0].startswith("1.2.840.10008.") else series_case_id(found[0]), text)


def quieten() -> None:
    """Keep the loggers of libraries from telling about patients."""
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)


class HideUids(logging.Filter):
    """For handlers: a study's or series' UID can be looked up in the PACS, and a log travels."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; rewrites the message."""
        message = record.getMessage()
        hidden = without_uids(message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
