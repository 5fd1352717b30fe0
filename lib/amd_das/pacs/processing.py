"""One series, from its files to the objects that a PACS takes and the record that a program reads."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from amd_das.errors import AmdDasError
from amd_das.inference import InferenceConfig, Predictor, Segmentation
from amd_das.inference.predictor import Progress
from amd_das.output.dicom import DICOM_FORMATS, Prior, dicom_objects, expansion
from amd_das.output.summary import result_dict
from amd_das.reading import ReadingConfig, read_volume
from amd_das.volume import Volume

logger = logging.getLogger(__name__)

FindPrior = Callable[[Volume], Prior | None]
"""The result of an earlier CT of the same patient, if there is one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Processed:
    """The result for one series."""

    volume: Volume
    segmentation: Segmentation
    record: dict[str, Any]
    """See :func:`amd_das.output.summary.result_dict`; with ``instances``, the files it was made from, and ``prior``
    where there is an earlier result: its volume in mL, and the change since."""

    objects: dict[str, list[Dataset]]
    """See :func:`amd_das.output.dicom.dicom_objects`."""


def process_series(
    folder: Path,
    predictor: Predictor,
    *,
    formats: Sequence[str] = DICOM_FORMATS,
    reading: ReadingConfig | None = None,
    config: InferenceConfig | None = None,
    prior: FindPrior | None = None,
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Processed:
    """Segment the series in a folder.

    Args:
        folder: the DICOM files of one series; what is no slice among them is left out.
        predictor: holds the model.
        formats: some of ``DICOM_FORMATS``.
        reading: limits of what is read.
        config: settings for this series alone.
        prior: looks for an earlier result; an error of a PACS there costs the comparison only.
        warnings: what is known of the series already and a user should know.
        progress: told of the stages; what it raises comes out of here.

    Raises:
        InputError: no head CT that can be segmented, or slices of several patients or studies.
    """
    tell = progress or (lambda stage, fraction: None)
    tell("reading", 0.0)
    started = time.perf_counter()
    volume = read_volume(folder, reading).with_warnings(*warnings)
    read = time.perf_counter()
    segmentation = predictor.segment(volume, progress, config)
    tell("looking for an earlier result", 1.0)
    earlier = _look_for(prior, volume) if prior else None
    segmented = time.perf_counter()
    tell("making DICOM objects", 1.0)
    objects = dicom_objects(
        volume,
        segmentation.mask,
        segmentation.measurement,
        model=segmentation.model,
        formats=formats,
        prior=earlier,
    )
    made = time.perf_counter()
    latencies = {
        "read": read - started,
        **segmentation.latencies,
        "encode": made - segmented,
        "total": made - started,
    }
    segmentation = replace(segmentation, latencies=latencies)
    record = {**result_dict(volume, segmentation), "instances": len({one.path for one in volume.slice_sources})}
    if earlier is not None:
        record["prior"] = _comparison(record["volume_ml"], earlier)
    return Processed(volume=volume, segmentation=segmentation, record=record, objects=objects)


def _comparison(now_ml: float, prior: Prior) -> dict[str, Any]:
    change = expansion(now_ml, prior)
    return {
        "volume_ml": prior.volume_ml,
        "ct_date": prior.ct_date,
        "ct_time": prior.ct_time,
        "change_ml": round(change.change_ml, 3),
        "change_percent": None if change.percent is None else round(change.percent, 1),
        "expanded": change.expanded,
    }


def _look_for(prior: FindPrior, volume: Volume) -> Prior | None:
    try:
        return prior(volume)
    except AmdDasError as error:
        logger.warning("%s: no comparison with an earlier CT: %s", volume.case_id, error)
        return None
