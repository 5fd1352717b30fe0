"""Both models on every scan of the comparison, whole, by the way that a user's scan takes."""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from amd_das.comparison.rule import Pair
from amd_das.datasets import CaseFiles, at_hand
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import AmdDasError, PacsCredentialsError, PacsUnreachableError, TrainingStopped
from amd_das.evaluation.metrics import volume_scores
from amd_das.files import write_whole
from amd_das.inference import Predictor
from amd_das.training.progress import StopCheck

logger = logging.getLogger(__name__)

FILE_NAME: Final = "volumes.json"
CHAMPION, CHALLENGER = "champion", "challenger"

Row = dict[str, Any]
"""Of one scan: its scores under each model by name, or why it could not be compared."""


def compare(
    cases: Sequence[CaseFiles],
    predictors: Mapping[str, Predictor],
    folder: Path,
    *,
    progress: Callable[[int, int], None],
    should_stop: StopCheck,
) -> dict[str, Row]:
    """Segment each scan with both models and score both; what an earlier call has done is not done again.

    Args:
        cases: with labels; neither model has learnt from them.
        predictors: CHAMPION and CHALLENGER.
        folder: receives ``volumes.json``.
        progress: told (done, total) after each scan.
        should_stop: asked before each scan.

    Raises:
        TrainingStopped: ``should_stop`` said so.
        PacsError: the PACS does not answer.
    """
    rows: dict[str, Row] = json.loads((folder / FILE_NAME).read_text()) if (folder / FILE_NAME).is_file() else {}
    for number, one in enumerate(cases):
        progress(number, len(cases))
        if one.case in rows:
            continue
        if should_stop():
            raise TrainingStopped(f"stopped after comparing {number} of {len(cases)} scans; start again to continue")
        rows[one.case] = _row(one, predictors)
        write_whole(folder / FILE_NAME, (json.dumps(rows, indent=1) + "\n").encode())
    progress(len(cases), len(cases))
    return rows


def pairs_of(rows: Mapping[str, Row]) -> list[Pair]:
    """What the rule looks at; scans that could not be compared are left out."""
    return [
        Pair(
            case=case,
            reference_ml=row[CHAMPION]["volume_ml_ref"],
            champion_ml=row[CHAMPION]["volume_ml_pred"],
            challenger_ml=row[CHALLENGER]["volume_ml_pred"],
            champion_dice=_number(row[CHAMPION]["dice"]),
            challenger_dice=_number(row[CHALLENGER]["dice"]),
        )
        for case, row in rows.items()
        if "error" not in row
    ]


def _row(one: CaseFiles, predictors: Mapping[str, Predictor]) -> Row:
    try:
        with at_hand(one) as files:
            volume = read_image(files)
            label = read_mask(files, volume)
            found = {
                name: volume_scores(predictor.segment(volume).mask, label, volume.affine)
                for name, predictor in predictors.items()
            }
    except (PacsUnreachableError, PacsCredentialsError):
        raise
    except AmdDasError as error:
        logger.warning("%s cannot be compared: %s", one.case, error)
        return {"error": str(error)}
    return {name: {key: _plain(value) for key, value in asdict(scores).items()} for name, scores in found.items()}


def _plain(value: Any) -> Any:
    """As JSON knows it; what is undefined is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
