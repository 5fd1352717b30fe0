"""The infer tasks ``amd_das_edit`` (clicks) and ``amd_das_scribbles`` (strokes): a mask corrected by hand."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from scipy import ndimage

from amd_das.components import TOUCHING
from amd_das.conventions import LABELS, RESEARCH_NOTICE
from amd_das.errors import ConfigError, InputError
from amd_das.inference import Segmentation
from amd_das.interaction import Corrector, MarkError, Marks, from_clicks, from_strokes
from amd_das.measurement import measure
from amd_das.reading import ReadingConfig, read_volume
from amd_das.volume import Volume
from amd_das_app.inference.known_scans import KnownScan, KnownScans
from amd_das_app.inference.task import HemorrhageInferTask, answer_monai_label, write_result
from amd_das_app.requests.labels import LabelError, check_same_grid
from amd_das_app.requests.marks import (
    BACKGROUND,
    CLICK_KEYS,
    SCRIBBLE_KEYS,
    STARTS,
    ClickParams,
    ScribbleParams,
    parse_clicks,
    parse_scribbles,
)
from amd_das_app.requests.params import ALLOWED, InferParams, parse_infer_params

logger = logging.getLogger(__name__)

EDIT_NAME: Final = "amd_das_edit"
SCRIBBLES_NAME: Final = "amd_das_scribbles"


@dataclass(frozen=True, kw_only=True)
class CorrectionParams:
    """What a client asks of a correction."""

    infer: InferParams
    marks: ClickParams | ScribbleParams

    @property
    def result_extension(self) -> str:
        """Format of the mask file."""
        return self.infer.result_extension


class _CorrectionTask(InferTask):
    """What clicks and strokes have in common. The automatic task lends its model, devices and predictors."""

    takes_label: Final = True
    keys: tuple[str, ...]

    def __init__(
        self,
        automatic: HemorrhageInferTask,
        known: KnownScans,
        kind: InferType,
        labels: Mapping[str, int],
        what: str,
    ) -> None:
        self.automatic = automatic
        self.known = known
        super().__init__(
            type=kind,
            labels=dict(labels),
            dimension=3,
            description=f"{what}, model {automatic.model.info.version}. {RESEARCH_NOTICE}",
            config={**automatic.config(), "start": list(STARTS)},
        )

    def is_valid(self) -> bool:
        """It exists only beside the automatic task."""
        return True

    def device_of(self, params: CorrectionParams) -> str:
        """Torch name of the device that is waited for."""
        return self.automatic.device_of(params.infer)

    def parse(self, params: Mapping[str, Any]) -> CorrectionParams:
        """A client's ``params``; raises ConfigError."""
        own = {key: value for key, value in params.items() if key in self.keys}
        rest = {key: value for key, value in params.items() if key not in self.keys}
        infer = parse_infer_params(rest, self.automatic.devices, also=self.keys)
        return CorrectionParams(infer=infer, marks=self._marks_of(own))

    def _marks_of(self, given: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _corrector(
        self, known: KnownScan, params: CorrectionParams, label: Path | None
    ) -> tuple[Corrector, Marks, str]:
        """What is corrected, by which marks, and in words what it was before."""
        raise NotImplementedError

    def segment(self, image: Path, params: CorrectionParams, mask: Path, label: Path | None = None) -> dict[str, Any]:
        """Correct the mask of one scan.

        Args:
            image: an image file or the folder of a DICOM series.
            params: what the client chose, and where it clicked.
            mask: where to write the mask, as for the automatic task.
            label: a mask or scribbles that the client has sent.

        Returns:
            What the automatic task returns, for the corrected mask, and "correction": number of marks, what the mask
            was before, and mL added and removed.

        Raises:
            InputError: no head CT; clicks outside it or contradicting each other; a label that is none of it.
            ConfigError: a DICOM SEG of a scan that is not DICOM.
        """
        latencies: dict[str, float] = {}
        began = time.perf_counter()
        known = self.known.get(image, self.automatic.predictor(self.device_of(params)), params.infer.config())
        latencies["scan"] = time.perf_counter() - began
        corrector, marks, start = self._corrector(known, params, label)
        latencies["start"] = time.perf_counter() - began - latencies["scan"]
        corrected = corrector.correct(marks)
        latencies["correct"] = time.perf_counter() - began - sum(latencies.values())
        volume = known.evidence.volume
        measurement = measure(corrected, volume, known.midline)
        latencies["measure"] = time.perf_counter() - began - sum(latencies.values())
        latencies["total"] = time.perf_counter() - began
        result = Segmentation(
            mask=corrected,
            measurement=measurement,
            model=self.automatic.model.info,
            warnings=known.warnings(corrected, start),
            latencies=latencies,
        )
        made_by = "SEMIAUTOMATIC" if marks or start == "label" else "AUTOMATIC"
        record = write_result(volume, result, mask, algorithm_type=made_by)
        record["correction"] = _correction(corrector, corrected, marks, start, volume)
        logger.info("%s: %s", volume.case_id, record["correction"])
        return record

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """MONAI Label's own way in; see the automatic task. ``request["label"]`` is a file it has saved, or a name."""
        allowed = {*ALLOWED, *self.keys}
        params = self.parse({key: request[key] for key in allowed if key in request and not _is_file(request, key)})
        label = Path(request["label"]) if _is_file(request, "label") else None
        return answer_monai_label(
            request, params.result_extension, lambda image, mask: self.segment(image, params, mask, label)
        )


class EditInferTask(_CorrectionTask):
    """Clicks on top of the automatic result, or of a mask that comes along."""

    keys = CLICK_KEYS

    def __init__(self, automatic: HemorrhageInferTask, known: KnownScans) -> None:
        # Both clients offer background clicks only where a label is called so; 3D Slicer looks at the app's labels.
        labels = {**LABELS, BACKGROUND: 0}
        super().__init__(automatic, known, InferType.DEEPEDIT, labels, "Hemorrhage corrected by clicks")

    def _marks_of(self, given: Mapping[str, Any]) -> ClickParams:
        return parse_clicks(given)

    def _corrector(
        self, known: KnownScan, params: CorrectionParams, label: Path | None
    ) -> tuple[Corrector, Marks, str]:
        clicks = params.marks
        assert isinstance(clicks, ClickParams)
        volume = known.evidence.volume
        marks = from_clicks(clicks.foreground, clicks.background, volume.shape)
        if label is None:
            return known.corrector(clicks.start), marks, clicks.start
        values = read_label(label, volume, self.automatic.reading)
        if not np.isin(values, [0, *LABELS.values()]).all():
            raise LabelError(f"the label holds other values than 0 and {list(LABELS.values())}; send the mask alone")
        return Corrector(known.evidence, values), marks, "label"


class ScribblesInferTask(_CorrectionTask):
    """Strokes, painted into the segmentation that is sent: its label is corrected, or else the automatic result."""

    keys = SCRIBBLE_KEYS

    def __init__(self, automatic: HemorrhageInferTask, known: KnownScans) -> None:
        super().__init__(automatic, known, InferType.SCRIBBLES, LABELS, "Hemorrhage corrected by strokes")

    def _marks_of(self, given: Mapping[str, Any]) -> ScribbleParams:
        return parse_scribbles(given)

    def _corrector(
        self, known: KnownScan, params: CorrectionParams, label: Path | None
    ) -> tuple[Corrector, Marks, str]:
        scribbles = params.marks
        assert isinstance(scribbles, ScribbleParams)
        if label is None:
            raise ConfigError("no scribbles came; send them as an image in the form field 'label', on the scan's grid")
        volume = known.evidence.volume
        values = read_label(label, volume, self.automatic.reading)
        foreground, background = values == scribbles.foreground_value, values == scribbles.background_value
        if scribbles.roi is not None:
            first, last = np.array(scribbles.roi).reshape(3, 2).T.clip(0, np.array(volume.shape) - 1)
            inside = np.zeros(volume.shape, bool)
            inside[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))] = True
            if not (foreground.any() or background.any()):
                foreground[tuple((first + last) // 2)] = True  # as MONAI Label does: the box alone means its middle
            foreground &= inside
            background &= inside
        if not (foreground.any() or background.any()):
            raise MarkError(
                f"no strokes came: no voxel of the label is {scribbles.foreground_value} (on hemorrhage) or "
                f"{scribbles.background_value} (beside it). Paint some, inside the region of interest if there is one"
            )
        current = _under_strokes(values == scribbles.label_value, foreground | background)
        marks = from_strokes(foreground, background)
        if current is not None:
            return Corrector(known.evidence, current), marks, "label"
        return known.corrector(scribbles.start), marks, scribbles.start


def _under_strokes(current: np.ndarray, strokes: np.ndarray) -> np.ndarray | None:
    """The mask before strokes were painted over it, (I, J, K) bool: strokes that touch it count as having been in it.

    None where no mask was sent: one value a voxel cannot say more.
    """
    if not current.any():
        return None
    around = ndimage.find_objects(strokes.astype(np.int8))[0]
    box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in around)
    touching = ndimage.binary_dilation(current[box], TOUCHING) & strokes[box]
    before = current.copy()
    before[box] |= ndimage.binary_propagation(touching, TOUCHING, mask=strokes[box])
    return before


def read_label(label: Path, image: Volume, reading: ReadingConfig) -> np.ndarray:
    """(I, J, K) values of a label that a client has sent; raises InputError unless it lies on the image's grid."""
    try:
        read = read_volume(label, reading)
    except InputError as error:
        raise type(error)(f"the label: {error}") from None
    check_same_grid(read, image)
    return read.array


def _correction(
    corrector: Corrector, corrected: np.ndarray, marks: Marks, start: str, volume: Volume
) -> dict[str, Any]:
    before, after = corrector.start != 0, corrected != 0
    return {
        "foreground": len(marks.foreground),
        "background": len(marks.background),
        "start": start,
        "added_ml": round(float((after & ~before).sum()) * volume.voxel_ml, 3),
        "removed_ml": round(float((before & ~after).sum()) * volume.voxel_ml, 3),
        "radius_mm": corrector.config.radius_mm,
    }


def _is_file(request: Mapping[str, Any], key: str) -> bool:
    return key == "label" and isinstance(request.get(key), str) and Path(request[key]).is_file()
