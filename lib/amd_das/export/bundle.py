"""A version as a MONAI Bundle: weights, configs, the code that turns a scan into a mask, card and licence."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import files as files_of
from pathlib import Path
from typing import Any, Final

import torch

from amd_das.errors import ConfigError
from amd_das.export import carried
from amd_das.export.configs import LOGGING, inference, metadata
from amd_das.export.usage import usage
from amd_das.model_card import licences
from amd_das.models import LoadedModel

LICENCE: Final = "LICENSE"


def write_bundle(model: LoadedModel, directory: Path, *, card: str, data: Sequence[Mapping[str, Any]]) -> Path:
    """Write the bundle; it is there whole or not at all.

    Args:
        model: to be exported.
        directory: made; may exist if it is empty.
        card: the model card; how to use the bundle is said before it in ``docs/README.md``.
        data: what the weights were learnt from, see :func:`amd_das.model_card.data_of`.

    Returns:
        ``directory``.

    Raises:
        ConfigError: ``directory`` is a file, is not empty or cannot be made.
    """
    _check_empty(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as temporary:
            made = Path(temporary) / "bundle"
            for name in ("configs", "models", "docs"):
                (made / name).mkdir(parents=True)
            (made / "configs" / "metadata.json").write_text(_json(metadata(model, data)))
            (made / "configs" / "inference.json").write_text(_json(inference(model)))
            (made / "configs" / "logging.conf").write_text(LOGGING)
            _write_weights(model, made / "models" / "model.pt")
            (made / "docs" / "README.md").write_text(usage(model) + card)
            (made / "docs" / "data_license.txt").write_text(licences(data))
            (made / LICENCE).write_text(_licence())
            _copy_code(made / "scripts")
            if directory.exists():
                directory.rmdir()
            made.rename(directory)
    except OSError as error:
        raise ConfigError(f"cannot write a bundle to {directory}: {error.strerror}; choose another folder") from error
    return directory


def _check_empty(directory: Path) -> None:
    if directory.is_dir() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty; expected a new or an empty folder for the bundle")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory} is a file; expected a new or an empty folder for the bundle")


def _write_weights(model: LoadedModel, path: Path) -> None:
    """A state dict in half precision, as versions are kept: loading it into float32 parameters changes nothing."""
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.network.state_dict().items()
    }
    torch.save(state, path)


def _copy_code(folder: Path) -> None:
    """The scripts, and beside them the part of this package that they need."""
    folder.mkdir()
    for script in carried.scripts():
        shutil.copyfile(script, folder / script.name)
    for module in carried.modules():
        place = folder / carried.PACKAGE.name / module.relative_to(carried.PACKAGE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, place)


def _licence() -> str:
    """The licence text installed with this package."""
    found = next((file for file in files_of("amd-das") or () if file.name == LICENCE), None)
    if found is None:
        raise ConfigError(f"this installation of amd-das lacks its {LICENCE}; install it again")
    return Path(str(found.locate())).read_text(encoding="utf-8")


def _json(content: object) -> str:
    return json.dumps(content, indent=4, ensure_ascii=False) + "\n"
