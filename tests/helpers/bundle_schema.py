"""What MONAI's schema of bundle metadata asks for (``meta_schema_20240725``), in our own words, for tests without a
network: the fields that must be there, their types, and what a tensor's description holds."""

from typing import Any

_TEXT = {"type": "string"}
_TENSORS = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
        "properties": {
            **dict.fromkeys(("type", "format", "dtype"), _TEXT),
            "num_channels": {"type": "integer"},
            "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
            "value_range": {"type": "array", "items": {"type": "number"}},
            "is_patch_data": {"type": "boolean"},
            "channel_def": {"type": "object"},
        },
    },
}
_NEEDED_TEXT = (
    "schema",
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "task",
    "description",
    "authors",
    "copyright",
)
_OTHER_TEXT = (
    "data_source",
    "data_type",
    "image_classes",
    "label_classes",
    "pred_classes",
    "intended_use",
)

SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": [*_NEEDED_TEXT, "required_packages_version", "network_data_format"],
    "properties": {
        **dict.fromkeys((*_NEEDED_TEXT, *_OTHER_TEXT), _TEXT),
        **{name: {"type": "object"} for name in ("changelog", "required_packages_version", "eval_metrics")},
        "references": {"type": "array", "items": _TEXT},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": _TENSORS, "outputs": _TENSORS},
        },
    },
}
