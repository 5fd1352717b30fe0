"""Every scan of the studies with what is known of it: the list that annotators and administrators look at."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore

from amd_das.active_learning import distance_to_nearest
from amd_das.active_learning.opinion import uncertainty
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.worklist.scores import CaseScore, ScoreStore
from amd_das_app.worklist.turns import LEASE_S, TAKEN, Turns

logger = logging.getLogger(__name__)

FINAL = "final"


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One scan; None is "not known"."""

    image: str
    status: str
    """ "new", "taken", "skipped" or "labelled"."""

    annotator: str
    """Who has taken, skipped or labelled it."""

    model_version: str
    volume_ml: float | None
    lesions: int | None
    uncertainty: float | None
    """In [0, 1]; see :func:`amd_das.active_learning.opinion.uncertainty`."""

    entropy: float | None
    flip_consistency: float | None
    distance: float | None
    """In [0, 1]: from the scan, labelled or taken, that it is most like; None without any."""

    label_ml: float | None
    dice: float | None
    hd95_mm: float | None
    volume_error_ml: float | None
    """Automatic less final."""

    error: str
    """Why it could not be scored."""

    has_thumbnail: bool


class CaseScores:
    """The worklist of one server."""

    def __init__(self, folder: Path, *, lease_s: float = LEASE_S) -> None:
        """``folder`` is this server's own and private."""
        self.store = ScoreStore(folder)
        self.turns = Turns(self.store, lease_s=lease_s)

    def rows(self, datastore: Datastore, version: str) -> list[CaseRow]:
        """Every scan under one version of the model, by id; may wait for the PACS."""
        scores, turns = self.store.of_version(version), self.turns.all()
        labelled = set(datastore.get_labeled_images())
        looked_at = labelled | {image for image, turn in turns.items() if turn.state == TAKEN}
        known = [score.bits for image, score in scores.items() if image in looked_at]
        references = [bits for bits in known if bits is not None]
        rows = []
        for image in sorted(datastore.list_images()):
            score, turn = scores.get(image), turns.get(image)
            if image in labelled:
                status, annotator = "labelled", _labeller(datastore, image)
            else:
                status, annotator = (turn.state, turn.annotator) if turn else ("new", "")
            rows.append(_row(image, status, annotator, version, score, references))
        return rows

    def thumbnail(self, image: str, version: str) -> bytes:
        """PNG; empty where there is none."""
        return self.store.thumbnail(image, version)


def _row(
    image: str, status: str, annotator: str, version: str, score: CaseScore | None, references: list[Any]
) -> CaseRow:
    known = score or CaseScore(image=image, version=version, image_stamp="")
    bits = known.bits
    distance = distance_to_nearest(bits, references) if bits is not None else math.inf
    unsure = (
        uncertainty(known.entropy, known.flip_consistency)
        if known.entropy is not None and known.flip_consistency is not None
        else None
    )
    return CaseRow(
        image=image,
        status=status,
        annotator=annotator,
        model_version=version,
        volume_ml=known.volume_ml,
        lesions=known.lesions,
        uncertainty=unsure,
        entropy=known.entropy,
        flip_consistency=known.flip_consistency,
        distance=distance if math.isfinite(distance) else None,
        label_ml=known.label_ml,
        dice=known.dice,
        hd95_mm=known.hd95_mm,
        volume_error_ml=known.volume_error_ml,
        error=known.error,
        has_thumbnail=known.has_thumbnail,
    )


def _labeller(datastore: Datastore, image: str) -> str:
    """As the program called them that saved the final label."""
    return str(datastore.get_label_info(image, FINAL).get("client_id") or "")


def newest_first(datastore: Datastore) -> list[str]:
    """Ids of all scans; of a PACS those of the newest studies first."""
    if isinstance(datastore, PacsDatastore):
        listed = datastore.list_images()  # raises where there is trouble
        series = datastore.listing.images
        there = [image for image in listed if image in series]
        return sorted(there, key=lambda image: (series[image].study_date, series[image].study_time), reverse=True)
    return list(datastore.list_images())


def image_stamp(datastore: Datastore, image: str) -> str:
    """Changes when the scan does; of a PACS, when its series grows."""
    if isinstance(datastore, PacsDatastore):
        series = datastore.listing.images.get(image)
        return str(series.instances) if series else ""
    return _file_stamp(datastore.get_image_uri(image))


def label_stamp(datastore: Datastore, image: str) -> str:
    """Changes when the final label does; empty without one."""
    if isinstance(datastore, PacsDatastore):
        found = datastore.listing.labels.get(image)
        return found[0].series.series_uid if found else ""
    path = datastore.get_label_uri(image, FINAL)
    return _file_stamp(path) if path else ""


def _file_stamp(path: str) -> str:
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"
