"""The infer task ``amd_das``: reads, segments and writes with the package, and speaks MONAI Label's language."""

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.utils.others.generic import device_map

from amd_das.conventions import LABELS, RESEARCH_NOTICE
from amd_das.errors import ConfigError, NotFoundError
from amd_das.inference import InferenceConfig, Predictor, Segmentation
from amd_das.models import WEIGHTS, LoadedModel, default_model_dir
from amd_das.output.dicom import dicom_objects
from amd_das.output.summary import result_dict
from amd_das.reading import ReadingConfig, read_volume, write_mask
from amd_das.volume import Volume
from amd_das_app.requests.params import ALLOWED, DECIDING, InferParams, parse_infer_params

logger = logging.getLogger(__name__)

TASK_NAME = "amd_das"

SEG_EXTENSION = ".dcm"
"""Of a mask that is written as DICOM SEG."""


class HemorrhageInferTask(InferTask):
    """Intraparenchymal hemorrhage on a whole head CT."""

    takes_label: Final = False

    def __init__(self, model: LoadedModel, reading: ReadingConfig) -> None:
        defaults = InferenceConfig()
        self.devices = {shown: "cuda:0" if name == "cuda" else name for shown, name in device_map().items()}
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(LABELS),
            dimension=3,
            description=f"Intraparenchymal hemorrhage on non-contrast head CT, model {model.info.version}. "
            f"{RESEARCH_NOTICE}",
            config={"device": list(self.devices), **{name: getattr(defaults, name) for name in DECIDING}},
        )
        self.reading = reading
        self.model = model
        self._predictors: dict[str, Predictor] = {}
        self._lock = threading.Lock()
        self.predictor(self.device_of(InferParams()))  # not at the first scan: it takes a moment

    def is_valid(self) -> bool:
        """A task exists only with a model that was loaded, so it can always be offered."""
        return True

    def get_path(self, validate: bool = True) -> str | None:
        """The weight file, for clients that download the model."""
        path = default_model_dir() / "versions" / self.model.info.version / WEIGHTS
        return str(path) if path.is_file() or not validate else None

    def parse(self, params: Mapping[str, Any]) -> InferParams:
        """A client's ``params``; raises ConfigError."""
        return parse_infer_params(params, self.devices)

    def device_of(self, params: InferParams) -> str:
        """Torch name of the device an inference will run on."""
        return params.device or next(iter(self.devices.values()))

    def predictor(self, device: str) -> Predictor:
        """The predictor of a device, made when first asked for."""
        with self._lock:
            if device not in self._predictors:
                self._predictors[device] = Predictor(self.model, device=device)
            return self._predictors[device]

    def segment(self, image: Path, params: InferParams, mask: Path) -> dict[str, Any]:
        """Segment one scan.

        Args:
            image: an image file or the folder of a DICOM series.
            params: what the client chose.
            mask: where to write the mask, uint8 on the scan's grid; its name ends in ``params.result_extension``, or in
                ``SEG_EXTENSION`` for a DICOM SEG.

        Returns:
            Label names, measurement, model, warnings and latencies, ready for JSON.

        Raises:
            InputError: for anything but a head CT.
            ConfigError: a DICOM SEG of a scan that is not DICOM.
        """
        volume = read_volume(image, self.reading)
        require_writable(volume, mask)
        segmentation = self.predictor(self.device_of(params)).segment(volume, config=params.config())
        return write_result(volume, segmentation, mask)

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """MONAI Label's own way in: ``request["image"]`` is a path it has looked up, or "" for an unknown id.

        It removes the file returned once that is sent.
        """
        params = self.parse({key: request[key] for key in ALLOWED if key in request})
        return answer_monai_label(
            request, params.result_extension, lambda image, mask: self.segment(image, params, mask)
        )


def require_writable(volume: Volume, mask: Path) -> None:
    """Raises ConfigError where a DICOM SEG is asked for a scan that is not DICOM."""
    if mask.name.endswith(SEG_EXTENSION) and volume.source != "dicom":
        raise ConfigError(
            f"output=dicom_seg needs a DICOM series, but {volume.case_id} is {volume.source}; send the DICOM, or "
            "ask for output=image"
        )


def write_result(
    volume: Volume, segmentation: Segmentation, mask: Path, *, algorithm_type: str = "AUTOMATIC"
) -> dict[str, Any]:
    """Write a mask in the format its name asks for; returns its record, ready for JSON."""
    require_writable(volume, mask)
    if mask.name.endswith(SEG_EXTENSION):
        model, measurement = segmentation.model, segmentation.measurement
        objects = dicom_objects(
            volume, segmentation.mask, measurement, model=model, formats=("seg",), algorithm_type=algorithm_type
        )
        objects["seg"][0].save_as(mask, write_like_original=False)
    else:
        write_mask(segmentation.mask, volume, mask)
    record = result_dict(volume, segmentation)
    return {"label_names": record["labels"], "latencies": record["latencies_s"], **record}


def answer_monai_label(
    request: Mapping[str, Any], extension: str, segment: Callable[[Path, Path], dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """A task's answer to MONAI Label's own server: ``segment(image, mask)`` into a new file, which it removes."""
    if not request.get("image"):
        raise NotFoundError("no such image in the studies; GET /datastore/?output=all lists their ids")
    handle, name = tempfile.mkstemp(suffix=extension)
    os.close(handle)
    try:
        return name, segment(Path(request["image"]), Path(name))
    except BaseException:
        Path(name).unlink()
        raise
