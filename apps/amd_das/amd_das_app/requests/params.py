"""The ``params`` of an inference request, checked against what the task takes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from amd_das.errors import ConfigError
from amd_das.inference import InferenceConfig

RESULT_EXTENSIONS: Final = (".nii.gz", ".nrrd")
"""Formats a mask can be returned in; the first is the default, 3D Slicer and OHIF ask for the second."""

_HINTS: Final[dict[str, tuple[type, ...]]] = {
    "client_id": (str,),
    "label_info": (list, dict),
    "logging": (str,),
    "restore_label_idx": (bool,),
    "result_compress": (bool,),
}
"""What clients send along and no result depends on: masks are always compressed, label values as in /info/."""

DECIDING: Final = {"threshold": 1.0, "min_component_ml": 1000.0, "sure_from": 1.0}
"""Numbers of the inference's own settings that a client may choose, and the largest of each; the least is 0."""

_SETTINGS: Final = ("device", *DECIDING, "result_extension", "result_dtype")
ALLOWED: Final = (*_SETTINGS, *sorted(_HINTS))


@dataclass(frozen=True, kw_only=True)
class InferParams:
    """What a client may choose about one inference."""

    device: str | None = None
    """One of the devices in the task's config; None for the server's choice."""

    threshold: float | None = None
    """Probability from which a voxel counts as hemorrhage, between 0 and 1; None for the model's own."""

    min_component_ml: float | None = None
    """Lesions smaller than this many mL are dropped; None for the model's own."""

    sure_from: float | None = None
    """A spot with a lower mean probability, or settled behind fluid, is left out beside a surer one; 0 keeps all; None
    for the model's own."""

    result_extension: str = RESULT_EXTENSIONS[0]
    """Format of the mask file."""

    def config(self) -> InferenceConfig:
        """The inference's settings with what the client chose; raises ConfigError."""
        chosen = {name: getattr(self, name) for name in DECIDING}
        return InferenceConfig(**{name: value for name, value in chosen.items() if value is not None})


def _expect(key: str, value: Any, types: tuple[type, ...], what: str) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ConfigError(f"params: {key!r} is {json.dumps(value)[:80]}; expected {what}")


def _number(key: str, value: Any, low: float, high: float) -> float:
    what = f"a number from {low:g} to {high:g}"
    _expect(key, value, (int, float), what)
    if not (math.isfinite(value) and low <= value <= high):
        raise ConfigError(f"params: {key!r} is {value}; expected {what}")
    return float(value)


def parse_json_object(text: str, name: str = "params") -> dict[str, Any]:
    """A form field that must be a JSON object; an empty one counts as ``{}``. Raises ConfigError."""
    try:
        value = json.loads(text) if text.strip() else {}
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{name} is not JSON ({error}); expected an object such as {{}}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is a JSON {type(value).__name__}; expected an object such as {{}}")
    return value


def parse_infer_params(given: Mapping[str, Any], devices: Mapping[str, str], also: Sequence[str] = ()) -> InferParams:
    """Check what a client sent; null means "as the server likes". Raises ConfigError naming the allowed keys.

    Args:
        given: the decoded ``params`` object.
        devices: display name of each device → torch name, as in the task's config.
        also: further keys that the task takes, for the message.
    """
    if unknown := sorted(given.keys() - set(ALLOWED)):
        raise ConfigError(
            f"params: unknown {', '.join(map(repr, unknown))[:200]}; allowed: {', '.join([*ALLOWED, *also])}"
        )
    given = {key: value for key, value in given.items() if value is not None}
    for key in given.keys() & _HINTS.keys():
        types = _HINTS[key]
        _expect(key, given[key], types, " or ".join(kind.__name__ for kind in types))
    chosen: dict[str, Any] = {}
    if "device" in given:
        chosen["device"] = parse_device(given["device"], devices)
    for name, largest in DECIDING.items():
        if name in given:
            chosen[name] = _number(name, given[name], 0.0, largest)
    if given.get("result_extension"):
        if given["result_extension"] not in RESULT_EXTENSIONS:
            what = json.dumps(given["result_extension"])[:80]
            raise ConfigError(f"params: 'result_extension' is {what}; expected one of {', '.join(RESULT_EXTENSIONS)}")
        chosen["result_extension"] = given["result_extension"]
    if given.get("result_dtype") not in (None, "", "uint8"):
        raise ConfigError(f"params: 'result_dtype' is {json.dumps(given['result_dtype'])[:80]}; expected \"uint8\"")
    return InferParams(**chosen)


def parse_device(value: Any, devices: Mapping[str, str]) -> str:
    """A device's display name or torch name → torch name; "cuda" without a GPU means the CPU, as MONAI Label has it."""
    if isinstance(value, list) and value:  # OHIF returns the drop-down as it got it
        value = value[0]
    names = {**devices, **{name: name for name in devices.values()}, "cpu": "cpu"}
    names["cuda"] = names.get("cuda:0", "cpu")
    if not isinstance(value, str) or value not in names:
        allowed = ", ".join(map(repr, names))
        raise ConfigError(f"params: 'device' is {json.dumps(value)[:80]}; expected one of {allowed}")
    return names[value]
