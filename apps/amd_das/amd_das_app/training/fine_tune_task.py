"""The trainer ``fine_tune``: learns from this server's final labels, as a process of its own."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from amd_das.errors import ConfigError
from amd_das.models import default_model_dir
from amd_das_app.requests.params import parse_device
from amd_das_app.settings import ServerSettings
from amd_das_app.training.process_task import HINTS, ProcessTrainTask, is_dicomweb

FINE_TUNE: Final = "fine_tune"


@dataclass(frozen=True, kw_only=True)
class FineTuneParams:
    """What a client may choose; the defaults are the library's."""

    steps: int = 300
    """At most so many steps."""

    learning_rate: float = 1e-3
    frozen_stages: int = 1
    """Lower encoder stages that stay as they are."""

    device: str | None = None
    """Torch name of a device; None for the library's choice."""

    among_all: bool = False
    """Whether every trainer was started: then it is no error that nothing is labelled."""

    def as_request(self) -> dict[str, Any]:
        """As the job's record shows it."""
        shown = {name: getattr(self, name) for name in _NUMBERS}
        return shown | ({"device": self.device} if self.device else {})


_NUMBERS: Final = ("steps", "learning_rate", "frozen_stages")
_DEFAULTS: Final = {one.name: one.default for one in fields(FineTuneParams)}
_ALLOWED: Final = (*_NUMBERS, "device", *sorted(HINTS))


def parse_fine_tune_params(given: Mapping[str, Any], devices: Mapping[str, str]) -> FineTuneParams:
    """Check what a client sent; null means "as the server likes", a list means its first entry, numbers may be text.

    Args:
        given: the request's JSON object.
        devices: display name of each device → torch name.

    Raises:
        ConfigError: an unknown key or an impossible value.
    """
    from amd_das.fine_tuning.config import FineTuneConfig  # brings the whole of training with it

    if unknown := sorted(given.keys() - set(_ALLOWED)):
        raise ConfigError(f"params: unknown {', '.join(map(repr, unknown))[:200]}; allowed: {', '.join(_ALLOWED)}")
    chosen = {key: value[0] if isinstance(value, list) and value else value for key, value in given.items()}
    numbers = {name: _number(name, chosen[name]) for name in _NUMBERS if chosen.get(name) is not None}
    device = parse_device(chosen["device"], devices) if chosen.get("device") is not None else None
    params = FineTuneParams(**numbers, device=device)
    try:
        FineTuneConfig(**{name: getattr(params, name) for name in _NUMBERS})
    except ConfigError as error:
        raise ConfigError(f"params: {error}") from None
    return params


def _number(name: str, value: Any) -> Any:
    kind = type(_DEFAULTS[name])
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"params: {name!r} is {json.dumps(value)[:80]}; expected {wanted}") from None


class FineTuneTask(ProcessTrainTask):
    """Learns from the labels tagged "final", and publishes the new version if it is not worse than the one in use."""

    def __init__(self, studies: str, folder: Path, settings: ServerSettings) -> None:
        super().__init__(
            FINE_TUNE,
            "Goes on training the model in use on this server's scans with a final label; the new version is put to "
            "use if it is not worse on those held out.",
            folder,
            settings,
        )
        self.studies = studies

    def config(self) -> dict[str, Any]:
        """Text cells and a drop-down in 3D Slicer."""
        return {**{name: _DEFAULTS[name] for name in _NUMBERS}, "device": list(self.devices)}

    def parse(self, given: Mapping[str, Any]) -> FineTuneParams:
        return parse_fine_tune_params(given, self.devices)

    def check(self, params: FineTuneParams) -> None:
        from amd_das.fine_tuning.config import FineTuneConfig
        from amd_das.fine_tuning.run import check
        from amd_das.pacs.config import PacsConfig

        place = PacsConfig.from_environment(self.studies) if is_dicomweb(self.studies) else Path(self.studies)
        config = FineTuneConfig(frozen_stages=params.frozen_stages)
        check(place, self.folder, default_model_dir(), config, submitted=True)

    def check_among_all(self, params: FineTuneParams) -> FineTuneParams:
        """Its turn comes hours later, when there may be other labels; nothing of it stands in the others' way."""
        return replace(params, among_all=True)

    def command(self, params: FineTuneParams, progress: Path) -> list[str]:
        options = {
            "--studies": self.studies,
            "--workdir": self.folder,
            "--model-dir": default_model_dir().resolve(),
            "--steps": params.steps,
            "--learning-rate": params.learning_rate,
            "--frozen-stages": params.frozen_stages,
            "--device": params.device,
            "--progress-file": progress,
        }
        given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
        flags = ["--unless-unlabelled"] if params.among_all else []
        return [sys.executable, "-m", "amd_das.cli", "fine-tune", *given, *flags]

    def about(self, params: FineTuneParams) -> str:
        return f"{self.name}: from the final labels of {self.studies}"
