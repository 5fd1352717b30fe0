"""Results as DICOM: SEG (the mask), SR (the numbers), SC (pictures), each belonging to the study of its CT.

Importing takes a second or two (dictionaries of codes), so do it where it is needed.
"""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from amd_das.conventions import DICOM_FORMATS
from amd_das.errors import ConfigError, GeometryError
from amd_das.measurement import Measurement
from amd_das.models import ModelInfo
from amd_das.output.dicom.capture import build_captures
from amd_das.output.dicom.codes import MANUFACTURER, SERIES_DESCRIPTIONS
from amd_das.output.dicom.files import as_file, write_dicom
from amd_das.output.dicom.instance import ALGORITHM_TYPES, Result
from amd_das.output.dicom.prior import Expansion, Prior, expansion
from amd_das.output.dicom.reading_back import Report, read_report, read_segmentation
from amd_das.output.dicom.report import build_report
from amd_das.output.dicom.segmentation import build_segmentation
from amd_das.output.dicom.source import load_source
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

__all__ = [
    "DICOM_FORMATS",
    "MANUFACTURER",
    "SERIES_DESCRIPTIONS",
    "Expansion",
    "Prior",
    "Report",
    "as_file",
    "dicom_objects",
    "expansion",
    "load_source",
    "read_report",
    "read_segmentation",
    "write_dicom",
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
    """A result as DICOM objects in the study of its CT, ready to be saved or sent.

    The same result asked for again has the same UIDs, so that a PACS keeps one of it.

    Args:
        volume: read from DICOM; its files must still be in place.
        mask: (I, J, K) on the volume's grid, hemorrhage where not 0; may be empty.
        measurement: of that mask.
        model: which one made the mask; None for a mask drawn by hand.
        formats: of :data:`DICOM_FORMATS`. "sr" refers to the "seg" of the same result.
        prior: an earlier result of the patient, for the report to compare with.
        algorithm_type: "AUTOMATIC", "SEMIAUTOMATIC" (corrected by hand) or "MANUAL".
        attempt: another number gives other UIDs, where a PACS refuses to take an instance twice.

    Returns:
        {"seg": [one], "sr": [one], "sc": [one for each slice]}, of these the ones asked for.

    Raises:
        ConfigError: no such format or algorithm type.
        InputError: the volume is not from DICOM, or its files lack what the objects need (see :func:`load_source`).
        GeometryError: mask and image differ in shape.
    """
    _check(formats, algorithm_type, mask, volume)
    if not formats:
        return {}
    source = load_source(volume)
    result = Result.of(source, mask, model=model, algorithm_type=algorithm_type, attempt=attempt)
    objects: dict[str, list[Dataset]] = {}
    if "seg" in formats:
        objects["seg"] = [build_segmentation(source, mask, result)]
    if "sr" in formats:
        axial = AxialGrid.of(volume).axes[0] == 2
        report = build_report(source, measurement, result, prior=prior, remarks=volume.warnings, axial=axial)
        objects["sr"] = [report]
    if "sc" in formats:
        objects["sc"] = build_captures(source, volume, mask, measurement, result)
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
