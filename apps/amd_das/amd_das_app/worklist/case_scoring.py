"""Scoring one scan: what the model thinks of it, its picture, and the comparison with its final label."""

import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from amd_das.active_learning import Opinion, form_opinion
from amd_das.errors import AmdDasError, GeometryError
from amd_das.evaluation.metrics import volume_scores
from amd_das.inference import Predictor
from amd_das.measurement import measure
from amd_das.output.thumbnail import render_thumbnail
from amd_das.reading import ReadingConfig, read_volume
from amd_das.volume import Volume
from amd_das_app.worklist.case_scores import FINAL
from amd_das_app.worklist.scores import CaseScore

logger = logging.getLogger(__name__)

NOTE: Final = "amd_das"
"""Under this name MONAI Label's clients find the score among the notes on a scan."""

LABEL_NOTE: Final = "dice_volume"
"""The same among the notes on a final label."""

_DECIMALS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Fields of a CaseScore, and a picture."""

    values: dict[str, Any]
    thumbnail: bytes


def score_scan(
    path: Path, label: Callable[[], str], predictor: Predictor, reading: ReadingConfig, give_way: Callable[[], None]
) -> Scored:
    """Score a scan.

    Args:
        path: its file, or the folder of its series.
        label: gives the path of its final label, "" without one; what is wrong with that is noted and no more.
        predictor: of the model that is asked.
        reading: limits.
        give_way: what it raises ends the work; see :func:`form_opinion`.

    Raises:
        InputError: it is no head CT.
        PacsError: the label cannot be fetched.
    """
    volume = read_volume(path, reading)
    opinion = form_opinion(volume, predictor, give_way=give_way)
    measurement = measure(opinion.mask, volume)
    picture = io.BytesIO()
    render_thumbnail(volume, opinion.mask).save(picture, "PNG")
    values: dict[str, Any] = {
        "volume_ml": measurement.volume_ml,
        "lesions": len(measurement.lesions),
        "entropy": opinion.entropy,
        "flip_consistency": opinion.flip_consistency,
        "fingerprint": opinion.fingerprint.astype("<u8").tobytes(),
    }
    if found := label():
        give_way()
        values |= _compared(Path(found), volume, opinion, reading)
    return Scored(values=values, thumbnail=picture.getvalue())


def _compared(label: Path, volume: Volume, opinion: Opinion, reading: ReadingConfig) -> dict[str, Any]:
    try:
        reference = read_volume(label, reading).array > 0
        if reference.shape != volume.shape:
            raise GeometryError(f"its shape is {reference.shape}, its scan's {volume.shape}; submit it again")
    except AmdDasError as error:
        return {"error": f"the final label cannot be compared: {error.code}: {error}"}
    scores = volume_scores(opinion.mask, reference, volume.affine)
    return {
        "label_ml": scores.volume_ml_ref,
        "dice": scores.dice if math.isfinite(scores.dice) else None,
        "hd95_mm": scores.hd95_mm if math.isfinite(scores.hd95_mm) else None,
    }


def leave_notes(datastore: Datastore, score: CaseScore) -> None:
    """Where MONAI Label's clients look: among the notes on the scan and on its final label."""
    shown = ("error", "volume_ml", "lesions", "entropy", "flip_consistency")
    compared = ("dice", "hd95_mm", "volume_error_ml", "label_ml", "volume_ml")
    try:
        datastore.update_image_info(score.image, {NOTE: _note(score, shown)})
        if score.label_ml is not None:
            datastore.update_label_info(score.image, FINAL, {LABEL_NOTE: _note(score, compared)})
    except (ImageNotFoundException, LabelNotFoundException, AmdDasError, OSError) as error:
        logger.info("nothing could be noted about %s: %s", score.image, error)


def _note(score: CaseScore, names: tuple[str, ...]) -> dict[str, Any]:
    values = {item.name: getattr(score, item.name) for item in fields(score)} | {
        "volume_error_ml": score.volume_error_ml
    }
    known = {name: values[name] for name in names if values[name] not in (None, "")}
    return {"model": score.version} | {
        name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in known.items()
    }
