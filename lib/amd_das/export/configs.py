"""``configs/`` of a bundle: what it is, and how MONAI runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

import monai
import numpy as np
import torch

from amd_das import __version__
from amd_das.conventions import LABEL_NAME, LABELS, RESEARCH_NOTICE
from amd_das.export.carried import requirements
from amd_das.inference import InferenceConfig
from amd_das.model_card import WEIGHTS_LICENCE, sources
from amd_das.models import LoadedModel
from amd_das.preprocessing.grid import SIZE

SCHEMA: Final = "https://project-monai.github.io/schema/meta_schema_20240725.json"
"""MONAI's JSON schema of metadata."""

TASK: Final = "Outline intraparenchymal hemorrhage on non-contrast head CT"

LOGGING: Final = """[loggers]
keys = root, product, ignite

[handlers]
keys = stdout

[formatters]
keys = plain

[logger_root]
level = INFO
handlers = stdout

[logger_product]
level = WARNING
handlers =
qualname = amd_das.inference

[logger_ignite]
level = WARNING
handlers =
qualname = ignite.engine.engine.SupervisedEvaluator

[handler_stdout]
class = StreamHandler
formatter = plain
args = (sys.stdout,)

[formatter_plain]
format = %(levelname)s %(name)s: %(message)s
"""
"""``logging.conf``: volumes and warnings are shown."""


def metadata(model: LoadedModel, data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``metadata.json``, in MONAI's schema.

    Args:
        model: whose record it tells.
        data: see :func:`amd_das.model_card.data_of`.
    """
    info = model.info
    return {
        "schema": SCHEMA,
        "version": info.version,
        "changelog": {info.version: f"exported by amd-das {__version__}"},
        "monai_version": _release(monai.__version__),
        "pytorch_version": _release(torch.__version__),
        "numpy_version": np.__version__,
        "required_packages_version": packages(),
        "name": "AMD-DAS hemorrhage segmentation",
        "task": TASK,
        "description": "An FCN with a VGG-16 encoder outlines the hemorrhage slice by slice; checks of the input, "
        "brain extraction, windowing and the way back to the scan's grid are in scripts/. See docs/README.md.",
        "authors": "the AMD-DAS project",
        "copyright": f"the AMD-DAS project; {WEIGHTS_LICENCE}; see LICENSE and docs",
        "data_source": sources(data),
        "data_type": "NIfTI, NRRD or DICOM",
        "image_classes": "one channel: non-contrast head CT in HU",
        "label_classes": "none: only masks of its own are made",
        "pred_classes": f"0 background, {LABELS[LABEL_NAME]} intraparenchymal hemorrhage",
        "eval_metrics": {name: value for name, value in info.metrics.items() if _is_number(value)},
        "intended_use": RESEARCH_NOTICE,
        "weights": {"file": "models/model.pt", "version": info.version, "published_sha256": info.checksum},
        "network_data_format": {"inputs": {"image": _image()}, "outputs": {"pred": _logits()}},
    }


def packages() -> dict[str, str]:
    """Needed beside MONAI, PyTorch and NumPy: what the code imports, the engine, and what its command line needs."""
    imported = {name: found for name, found in requirements().items() if name not in ("monai", "torch", "numpy")}
    return {**imported, **{name: version(name) for name in ("pytorch-ignite", "fire")}}


def inference(model: LoadedModel) -> dict[str, Any]:
    """``inference.json``: scans of a folder → masks in another."""
    settings = asdict(InferenceConfig())
    settings.pop("preprocess")
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": "scripts.network.SliceFcn", **_plain(asdict(model.network.config))},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "scripts.scans.ReadHeadCtd", "keys": "image"}],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": {"_target_": "scripts.scans.find_scans", "place": "@dataset_dir"},
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "scripts.inferer.HeadCtInferer",
            "version": model.info.version,
            "notice": RESEARCH_NOTICE,
            **settings,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "scripts.scans.WriteMaskd", "keys": "pred", "output_dir": "@output_dir"}],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": [
            {"_target_": "scripts.scans.check_scans", "scans": "@dataset#data", "place": "@dataset_dir"},
            "$@evaluator.run()",
        ],
    }


def _image() -> dict[str, Any]:
    return {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": [SIZE, SIZE],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": False,
        "channel_def": {"0": "axial slice of the brain, 1 mm pixels, 0-100 HU scaled to [-1, 1], -1 outside the brain"},
    }


def _logits() -> dict[str, Any]:
    return {
        "type": "image",
        "format": "segmentation",
        "num_channels": 1,
        "spatial_shape": [SIZE, SIZE],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {"0": f"{LABEL_NAME}, logit: the sigmoid is its probability"},
    }


def _release(name: str) -> str:
    """Without what a build adds to it: "2.13.0+cpu" is 2.13.0."""
    return str(name).partition("+")[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples as lists, so that it is the same after a way through JSON."""
    return {name: [list(one) for one in value] if isinstance(value, tuple) else value for name, value in record.items()}
