"""The trainers: the pipeline, whole or up to one of its steps, and fine-tuning, as MONAI Label's train tasks."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amd_das.conventions import PRESETS
from amd_das.errors import ConfigError, NotFoundError
from amd_das.models import default_model_dir
from amd_das_app.requests.params import parse_device
from amd_das_app.settings import ServerSettings
from amd_das_app.training.fine_tune_task import FINE_TUNE, FineTuneTask
from amd_das_app.training.process_task import HINTS, ProcessTrainTask, is_dicomweb

CONF_SOURCE: Final = "source"
"""Key of the app's configuration: ``--conf source DIR``."""

_ALLOWED: Final = ("preset", "device", *sorted(HINTS))


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """What a client may choose about one training."""

    preset: str = PRESETS[0]
    """One of PRESETS."""

    device: str | None = None
    """Torch name of a device; None for the pipeline's choice."""

    def as_request(self) -> dict[str, Any]:
        """As the job's record shows it."""
        return {"preset": self.preset} | ({"device": self.device} if self.device else {})


def parse_train_params(given: Mapping[str, Any], devices: Mapping[str, str]) -> TrainParams:
    """Check what a client sent; null means "as the server likes", a list (OHIF's) means its first entry.

    Args:
        given: the request's JSON object.
        devices: display name of each device → torch name, as in the trainer's config.

    Raises:
        ConfigError: an unknown key, preset or device.
    """
    if unknown := sorted(given.keys() - set(_ALLOWED)):
        raise ConfigError(f"params: unknown {', '.join(map(repr, unknown))[:200]}; allowed: {', '.join(_ALLOWED)}")
    chosen = {key: value[0] if isinstance(value, list) and value else value for key, value in given.items()}
    preset, device = chosen.get("preset"), chosen.get("device")
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"params: 'preset' is {json.dumps(preset)[:80]}; expected one of {', '.join(PRESETS)}")
    return TrainParams(
        preset=preset or PRESETS[0], device=parse_device(device, devices) if device is not None else None
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the trainers of one server share."""

    source: Path | None
    """Folder of labelled FLAIR MRI; None for phantoms."""

    studies: str
    """The server's studies, which are the target: a folder or a DICOMweb address."""

    folder: Path
    """For the pipeline's steps, the jobs and the trainers' states."""

    @classmethod
    def of(cls, conf: Mapping[str, str], studies: str, settings: ServerSettings) -> "Training":
        """From the app's configuration; raises NotFoundError for a source that is not there."""
        source = Path(conf[CONF_SOURCE]).expanduser().resolve() if conf.get(CONF_SOURCE) else None
        if source is not None and not source.is_dir():
            raise NotFoundError(f"the source folder {source} does not exist; --conf source names labelled FLAIR MRI")
        return cls(source=source, studies=_whole(studies), folder=training_folder(studies, settings))

    @property
    def source_in_words(self) -> str:
        """For descriptions and logs."""
        if self.source is None:
            return "phantom FLAIR, since no folder of labelled FLAIR MRI is named with --conf source"
        return f"the labelled FLAIR MRI in {self.source.name}"

    def source_of(self, params: TrainParams) -> Path | None:
        """The labelled MRI; None for phantoms, and for a preset that goes on from the model in use with CT alone."""
        from amd_das.pipeline.presets import preset  # brings the whole of training with it

        return self.source if preset(params.preset).starts_from == "source" else None

    def check(self, params: TrainParams) -> None:
        """What can be known before work starts; raises AmdDasError."""
        from amd_das.pacs.config import PacsConfig  # these bring the whole of training with them
        from amd_das.pipeline.presets import preset
        from amd_das.pipeline.run import check

        in_pacs = is_dicomweb(self.studies)
        target = PacsConfig.from_environment(self.studies) if in_pacs else Path(self.studies)
        check(preset(params.preset), source=self.source_of(params), target=target)

    def command(self, until: str, params: TrainParams, progress: Path) -> list[str]:
        """The command line of a job that reports to ``progress``."""
        options = {
            "--preset": params.preset,
            "--source": self.source_of(params),
            "--target": self.studies,
            "--workdir": self.folder,
            "--model-dir": default_model_dir().resolve(),
            "--until": until,
            "--device": params.device,
            "--progress-file": progress,
        }
        given = [part for name, value in options.items() if value for part in (name, str(value))]
        return [sys.executable, "-m", "amd_das.cli", "pipeline", *given]


def _whole(studies: str) -> str:
    return studies if is_dicomweb(studies) else str(Path(studies).expanduser().resolve())


def training_folder(studies: str, settings: ServerSettings) -> Path:
    """One for each studies folder, so that two servers do not wait for each other."""
    studies = _whole(studies)
    name = studies.rstrip("/").rpartition("/")[2] or "studies"
    return settings.runs_folder / f"{name}-{hashlib.sha256(studies.encode()).hexdigest()[:8]}"


class PipelineTrainTask(ProcessTrainTask):
    """The pipeline up to one of its steps."""

    def __init__(self, name: str, until: str, purpose: str, training: Training, settings: ServerSettings) -> None:
        description = f"{purpose} Source: {training.source_in_words}. Target: this server's scans, unlabelled."
        super().__init__(name, description, training.folder, settings)
        self.until = until
        self.training = training

    def config(self) -> dict[str, Any]:
        """Drop-downs in 3D Slicer, the first entry of each being the default."""
        return {"preset": list(PRESETS), "device": list(self.devices)}

    def parse(self, given: Mapping[str, Any]) -> TrainParams:
        return parse_train_params(given, self.devices)

    def check(self, params: TrainParams) -> None:
        self.training.check(params)

    def command(self, params: TrainParams, progress: Path) -> list[str]:
        return self.training.command(self.until, params, progress)

    def about(self, params: TrainParams) -> str:
        return (
            f"{self.name}: preset {params.preset}, source {self.training.source_in_words}, "
            f"target the scans in {self.training.studies}"
        )


def make_trainers(training: Training, settings: ServerSettings) -> dict[str, ProcessTrainTask]:
    """All trainers; the whole pipeline comes first, because Slicer and OHIF show the first one's progress only."""
    steps = {
        "amd_das": ("publication", "Learns to segment head CT from labelled FLAIR MRI, and puts the model to use."),
        "matching": ("matching", "First part of it: prepares the slices and finds pairs of MRI and CT."),
        "synthesis": ("translation", "Second part of it: learns to translate MRI to CT, and translates the slices."),
        "segmentation": ("segmentation", "Third part of it: learns to segment; nothing is published."),
    }
    pipeline = {
        name: PipelineTrainTask(name, until, purpose, training, settings) for name, (until, purpose) in steps.items()
    }
    return {**pipeline, FINE_TUNE: FineTuneTask(training.studies, training.folder, settings)}
