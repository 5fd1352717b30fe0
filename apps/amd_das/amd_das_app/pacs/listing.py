"""What the PACS holds, asked for no more often than every few seconds, however many clients ask."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from amd_das.errors import NotFoundError, PacsError
from amd_das.pacs.dicomweb import DicomWeb, SeriesInfo, StoredResult

logger = logging.getLogger(__name__)

FRESH_SECONDS: Final = 5.0
"""A list no older than this is given again; so is a failure."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One look into the PACS."""

    images: Mapping[str, SeriesInfo] = field(default_factory=dict)
    """CT series by SeriesInstanceUID."""

    labels: Mapping[str, tuple[StoredResult, ...]] = field(default_factory=dict)
    """SEG series that refer to each of ``images`` that has any, newest first; without our own that nobody corrected."""

    segmented: frozenset[str] = frozenset()
    """Those of ``images`` to which a SEG of ours refers that nobody corrected."""

    trouble: PacsError | NotFoundError | None = None
    """Why there is nothing."""


def look(web: DicomWeb) -> Listing:
    """Ask the PACS; a failure becomes part of the answer."""
    try:
        images = {series.series_uid: series for series in web.ct_series()}
        segmentations = web.segmentations()
    except (PacsError, NotFoundError) as error:
        logger.warning("the PACS cannot be listed: %s", error)
        return Listing(trouble=error if isinstance(error, PacsError) else _no_service(web))
    labels: dict[str, list[StoredResult]] = defaultdict(list)
    segmented: set[str] = set()
    for one in segmentations:
        if one.is_automatic:  # an answer, not a label to learn from
            segmented |= one.references & images.keys()
            continue
        for uid in one.references & images.keys():
            labels[uid].append(one)
    newest_first = {uid: tuple(sorted(found, key=lambda one: one.when, reverse=True)) for uid, found in labels.items()}
    return Listing(images=images, labels=newest_first, segmented=frozenset(segmented))


def _no_service(web: DicomWeb) -> PacsError:
    return PacsError(f"{web.config.shown} has no DICOMweb service under this address; give its DICOMweb root")


class FreshListing:
    """The listing, at most FRESH_SECONDS old; many that ask at once cause one look."""

    def __init__(self, web: DicomWeb) -> None:
        self._web = web
        self._lock = threading.Lock()
        self._listing: Listing | None = None
        self._looked = float("-inf")

    def get(self) -> Listing:
        """What is there, or why that cannot be told; waits for the PACS where the last look is too old."""
        with self._lock:
            if self._listing is None or time.monotonic() - self._looked >= FRESH_SECONDS:
                started = time.monotonic()
                self._listing = look(self._web)
                # a list is as old as the question, but a failure counts from its end: it may have taken long
                self._looked = time.monotonic() if self._listing.trouble else started
            return self._listing

    def forget(self) -> None:
        """The next one who asks causes a look: something was just stored."""
        self._looked = float("-inf")
