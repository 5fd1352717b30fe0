"""Results as DICOM: SEG (the mask), SR (the numbers), SC (pictures), each belonging to the study of its CT."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from amd_das.errors import ConfigError, GeometryError
from amd_das.measurement import Measurement
from amd_das.models import ModelInfo
from amd_das.output.dicom.codes import MANUFACTURER, SERIES_DESCRIPTIONS
from amd_das.output.dicom.instance import ALGORITHM_TYPES, Result
from amd_das.output.dicom.prior import Expansion, Prior, expansion
from amd_das.output.dicom.reading_back import Report, read_report, read_segmentation
from amd_das.output.dicom.report import build_report
from amd_das.output.dicom.segmentation import build_segmentation
from amd_das.output.dicom.source import load_source
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

DICOM_FORMATS: Final = ("seg", "sr", "sc")

__all__ = [
    "DICOM_FORMATS",
    "MANUFACTURER",
    "SERIES_DESCRIPTIONS",
    "Expansion",
    "Prior",
    "Report",
    "dicom_objects",
    "expansion",
    "read_report",
    "read_segmentation",
]


def dicom_objects(
    volume: Volume,
    mask: np.ndarray,
    measurement: Measurement,
    *,
    model: ModelInfo | None,
    formats: Sequence[str] = DICOM_FORMATS,
    prior: Prior | None = None,
    algorithm_type: str = "AUTOMATIC",
    attempt: int = 0,
) -> dict[str, list[Dataset]]:
    """A result as DICOM objects, ready to be saved or sent."""
    _check(formats, algorithm_type, mask, volume)
    source = load_source(volume)
    result = Result.of(source, mask, model=model, algorithm_type=algorithm_type, attempt=attempt)
    objects: dict[str, list[Dataset]] = {}
    if "seg" in formats:
        objects["seg"] = [build_segmentation(source, mask, result)]
    if "sr" in formats:
        axial = AxialGrid.of(volume).axes[0] == 2
        report = build_report(source, measurement, result, prior=prior, remarks=volume.warnings, axial=axial)
        objects["sr"] = [report]
    return objects


def _check(formats: Sequence[str], algorithm_type: str, mask: np.ndarray, volume: Volume) -> None:
    unknown = set(formats) - set(DICOM_FORMATS)
    if unknown:
        raise ConfigError(f"DICOM format {', '.join(sorted(unknown))}: expected one of {', '.join(DICOM_FORMATS)}")
    if algorithm_type not in ALGORITHM_TYPES:
        raise ConfigError(f"algorithm type {algorithm_type!r}: expected one of {', '.join(ALGORITHM_TYPES)}")
    if mask.shape != volume.shape:
        raise GeometryError(
            f"the mask has shape {mask.shape}, its image {volume.shape}: a result belongs to its own image"
        )
