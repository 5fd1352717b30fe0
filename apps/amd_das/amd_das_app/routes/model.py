"""``/model``: replacing the weights. Off unless asked for; earlier versions stay in the model folder."""

from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, UploadFile
from safetensors import SafetensorError
from safetensors.torch import load_file

from amd_das.errors import UnreadableError
from amd_das.models import CURRENT, WEIGHTS, default_model_dir, save_version
from amd_das.networks.fcn import Fcn
from amd_das_app.access import note
from amd_das_app.inference.task import HemorrhageInferTask
from amd_das_app.monai_app import find_task, monai_label_app
from amd_das_app.requests.uploads import save_upload, scratch_folder
from amd_das_app.state import State, require_allowed

router = APIRouter(prefix="/model", tags=["Model"])


def _publish(weights: Path, task: HemorrhageInferTask) -> dict[str, Any]:
    network = Fcn(task.model.network.config)
    try:
        state = load_file(weights)
        network.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (SafetensorError, RuntimeError) as error:
        raise UnreadableError(
            f"{weights.name} does not hold the weights of this network; expected a {WEIGHTS} as GET /model/ sends it"
        ) from error
    info = save_version(
        default_model_dir(),
        network,
        training={"uploaded": True, "replaces": task.model.info.version},
        metrics={},
        card="Uploaded to a server with PUT /model/. Nothing is known about its training. Not for clinical use.\n",
    )
    path = default_model_dir() / "versions" / info.version / WEIGHTS
    return {"checksum": f"SHA256:{info.checksum}", "modified_time": int(path.stat().st_mtime), "version": info.version}


@router.put("/{model}", summary="Put other weights to use")
async def replace_model(request: Request, state: State, model: str, file: UploadFile) -> dict[str, Any]:
    """Accepts a safetensors file with exactly the tensors of the network in use; becomes a new version."""
    require_allowed(state.settings, "models", "replacing weights")
    task = find_task(model)
    async with scratch_folder() as folder:
        published = await run_sync(_publish, await save_upload(file, folder), task)
    await run_sync(monai_label_app().reload_model)
    note(request, model_version=published["version"])
    return published


@router.delete("/{model}", summary="Put the model out of use")
async def delete_model(state: State, model: str) -> dict[str, Any]:
    """Its files stay in the model folder; only the note that it is the current one goes."""
    require_allowed(state.settings, "models", "removing the model")
    find_task(model)
    (default_model_dir() / CURRENT).unlink(missing_ok=True)
    await run_sync(monai_label_app().reload_model)
    return {}
