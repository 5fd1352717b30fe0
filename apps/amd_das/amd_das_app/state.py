"""What the endpoints share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from amd_das_app.errors import NotAllowedError
from amd_das_app.inference.batch import BatchRunner
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.pacs.series_jobs import SeriesJobs
from amd_das_app.settings import ServerSettings
from amd_das_app.training.jobs import JobManager
from amd_das_app.worklist.scorer import Scorer


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """One per server."""

    settings: ServerSettings
    queues: DeviceQueues
    batch: BatchRunner
    jobs: JobManager
    scorer: Scorer
    series_jobs: SeriesJobs | None = None
    """None where the studies are a folder."""


def _state(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


State = Annotated[ServerState, Depends(_state)]
"""Parameter of an endpoint that needs the server's state."""


def require_allowed(settings: ServerSettings, what: str, purpose: str) -> None:
    """Raises NotAllowedError unless the server's owner has asked for it."""
    if what not in settings.allow:
        raise NotAllowedError(
            f"{purpose} is switched off on this server; its owner can start it with AMD_DAS_ALLOW={what}"
        )
