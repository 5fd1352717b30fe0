"""What the endpoints share, and how they reach the app and its task."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.utils.app import app_instance

from amd_das.errors import ModelError, NotFoundError
from amd_das_app.errors import NotAllowedError
from amd_das_app.inference.batch import BatchRunner
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import TASK_NAME, HemorrhageInferTask
from amd_das_app.requests.names import quoted
from amd_das_app.settings import ServerSettings
from amd_das_app.training.jobs import JobManager

if TYPE_CHECKING:
    from amd_das_app.pacs.series_jobs import SeriesJobs
    from amd_das_app.worklist.scorer import Scorer


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """One per server."""

    settings: ServerSettings
    queues: DeviceQueues
    batch: BatchRunner
    jobs: JobManager
    scorer: "Scorer"
    series_jobs: "SeriesJobs | None" = None
    """None where the studies are a folder."""


def _state(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


State = Annotated[ServerState, Depends(_state)]
"""Parameter of an endpoint that needs the server's state."""


def monai_label_app() -> Any:
    """The one instance of the MONAI Label app."""
    app: MONAILabelApp = app_instance()
    return app


def require_allowed(settings: ServerSettings, what: str, purpose: str) -> None:
    """Raises NotAllowedError unless the server's owner has asked for it."""
    if what not in settings.allow:
        raise NotAllowedError(
            f"{purpose} is switched off on this server; its owner can start it with AMD_DAS_ALLOW={what}"
        )


def find_task(model: str) -> HemorrhageInferTask:
    """The infer task of this name; raises ModelError when its model is absent, NotFoundError for another name."""
    app = monai_label_app()
    if model != TASK_NAME:
        raise NotFoundError(f"no model {quoted(model)}; there is {TASK_NAME!r}")
    task: HemorrhageInferTask | None = app._infers.get(TASK_NAME)
    if task is None:
        raise ModelError(str(app.model_error))
    return task
