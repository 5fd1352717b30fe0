"""Versions of the trained model on disk: save, choose, load.

A model folder holds ``versions/<version>/`` with ``weights.safetensors`` (tensors only, no pickle), ``model.json``
(how to build the network, checksum, training record, metrics) and ``card.md``; the text file ``current`` names the
version in use. A version is written under a temporary name and renamed, so it is there whole or not at all.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save_file

from amd_das.errors import ModelError, NotFoundError
from amd_das.files import write_whole
from amd_das.networks.fcn import Fcn, FcnConfig

MODEL_NAME = "amd_das"
MODEL_DIR_VARIABLE = "AMD_DAS_MODEL_DIR"
WEIGHTS, RECORD, CARD, CURRENT = "weights.safetensors", "model.json", "card.md", "current"
_VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a result says about the model that made it."""

    name: str
    """Name of the model, the same in every version."""

    version: str
    """``<date>-<first 8 hex digits of the checksum>``."""

    checksum: str
    """SHA-256 of the weight file, hex."""

    training: Mapping[str, Any] = field(default_factory=dict)
    """The run that made it: data, seeds, device, time, configuration."""

    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Scores measured when it was made."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A network ready for inference: evaluation mode, float32, on the CPU."""

    network: Fcn
    info: ModelInfo


def default_model_dir() -> Path:
    """``$AMD_DAS_MODEL_DIR``, or ``model/`` of the checkout this package was installed from."""
    chosen = os.environ.get(MODEL_DIR_VARIABLE)
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "model"


def save_version(
    model_dir: Path,
    network: Fcn,
    *,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str | Callable[[ModelInfo], str],
    make_current: bool = True,
) -> ModelInfo:
    """Write a version in half precision and, unless told otherwise, put it to use.

    The same weights saved twice on one day give the same version. A ``card`` may be written when the version is known.
    """
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in network.state_dict().items()
    }
    versions = model_dir / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=versions, prefix=".new-") as temporary:
        folder = Path(temporary) / "version"
        folder.mkdir()
        save_file(state, folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone; a server may run as another user
        checksum = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        version = f"{datetime.now(UTC):%Y-%m-%d}-{checksum[:8]}"
        info = ModelInfo(
            name=MODEL_NAME, version=version, checksum=checksum, training=dict(training), metrics=dict(metrics)
        )
        record = {**asdict(info), "network": asdict(network.config)}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        (folder / CARD).write_text(card if isinstance(card, str) else card(info))
        if (versions / version).exists():
            shutil.rmtree(versions / version)
        folder.rename(versions / version)
    if make_current:
        use_version(model_dir, version)
    return info


def as_published(network: Fcn) -> LoadedModel:
    """The network as a server will load it: in half precision on disk, and read again."""
    with tempfile.TemporaryDirectory(prefix="amd-das-") as folder:
        save_version(Path(folder), network, training={}, metrics={}, card="")
        return load_current(Path(folder))


def use_version(model_dir: Path, version: str) -> None:
    """Make a saved version the one in use; raises NotFoundError for one that is not there."""
    expect_version(model_dir, version)
    if not _VERSION_PATTERN.fullmatch(version):
        raise NotFoundError(f"{version!r} is no name of a version; expected letters, digits and . _ - alone")
    write_whole(model_dir / CURRENT, f"{version}\n".encode())


def remove_version(model_dir: Path, version: str) -> None:
    """Delete a version that is not in use.

    Raises:
        NotFoundError: there is no such version.
        ModelError: it is the one in use.
    """
    expect_version(model_dir, version)
    if version == version_in_use(model_dir):
        raise ModelError(f"model version {version!r} is in use; put another to use first (amd-das models use VERSION)")
    folder = model_dir / "versions" / version
    going = folder.with_name(f".removed-{version}")  # out of sight at once, whole; then its files
    folder.rename(going)
    shutil.rmtree(going)


def write_card(model_dir: Path, version: str, card: str) -> Path:
    """Replace the card of a version; raises NotFoundError for one that is not there."""
    expect_version(model_dir, version)
    path = model_dir / "versions" / version / CARD
    write_whole(path, card.encode())
    return path


def read_info(model_dir: Path, version: str) -> ModelInfo:
    """What the record of a version says, its weights unread; raises ModelError for a damaged record."""
    return read_record(model_dir, version)[0]


def read_record(model_dir: Path, version: str) -> tuple[ModelInfo, FcnConfig]:
    """The same, and the shape of its network."""
    try:
        record = json.loads((model_dir / "versions" / version / RECORD).read_text())
        info = ModelInfo(**{key: record[key] for key in ModelInfo.__dataclass_fields__})
        return info, FcnConfig.from_record(record["network"])
    except FileNotFoundError:
        raise ModelError(f"model version {version!r} lacks its file {RECORD!r}") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{RECORD} of model version {version!r} is damaged: {error}") from None


def expect_version(model_dir: Path, version: str) -> None:
    """Raise NotFoundError for a version that is not there."""
    there = list_versions(model_dir)
    if version not in there:
        raise NotFoundError(f"no model version {version!r}; there are: {', '.join(there) or 'none'}")


def list_versions(model_dir: Path) -> list[str]:
    """Names of all whole versions, oldest first."""
    return sorted(path.parent.name for path in (model_dir / "versions").glob(f"[!.]*/{RECORD}"))


def version_in_use(model_dir: Path) -> str | None:
    """Name of the version in use, None when none is; raises ModelError when what should name one does not."""
    try:
        version = (model_dir / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    if not _VERSION_PATTERN.fullmatch(version):
        raise ModelError(f"{CURRENT!r} in the model folder should name a version, but says {version[:80]!r}")
    return version


def current_version(model_dir: Path) -> str:
    """Name of the version in use; raises ModelError when none is."""
    version = version_in_use(model_dir)
    if version is None:
        raise ModelError(
            f"no model: {CURRENT!r} is missing from the model folder; restore the shipped weights or train a model"
        )
    return version


def load_current(model_dir: Path | None = None) -> LoadedModel:
    """The model in use; raises ModelError when it is absent, damaged or not the network it says it is."""
    folder = model_dir if model_dir is not None else default_model_dir()
    return load_version(folder, current_version(folder))


def load_version(model_dir: Path, version: str) -> LoadedModel:
    """One version, its checksum compared and every tensor accounted for; raises ModelError otherwise."""
    info, config = read_record(model_dir, version)
    try:
        weights = (model_dir / "versions" / version / WEIGHTS).read_bytes()
    except FileNotFoundError:
        raise ModelError(f"model version {version!r} lacks its file {WEIGHTS!r}") from None
    checksum = hashlib.sha256(weights).hexdigest()
    if checksum != info.checksum:
        raise ModelError(
            f"weights of model version {version!r} are damaged: SHA-256 {checksum[:12]}…, expected "
            f"{info.checksum[:12]}…; restore the file, or publish the model again"
        )
    network = Fcn(config)
    try:
        state = parse_tensors(weights)
        floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        if not all(torch.isfinite(tensor).all() for tensor in floats.values() if tensor.is_floating_point()):
            raise ModelError(f"weights of model version {version!r} hold values that are not finite")
        network.load_state_dict(floats)
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"weights of model version {version!r} do not fit their network: {error}") from None
    return LoadedModel(network=network.eval(), info=info)
