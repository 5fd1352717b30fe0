"""The MONAI Label app that this process serves, and its infer task."""

from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.utils.app import app_instance

from amd_das.errors import ModelError, NotFoundError
from amd_das_app.inference.task import TASK_NAME, HemorrhageInferTask
from amd_das_app.requests.names import quoted


def monai_label_app() -> Any:
    """The one instance of the MONAI Label app."""
    app: MONAILabelApp = app_instance()
    return app


def find_task(model: str) -> HemorrhageInferTask:
    """The infer task of this name; raises ModelError when its model is absent, NotFoundError for another name."""
    app = monai_label_app()
    if model != TASK_NAME:
        raise NotFoundError(f"no model {quoted(model)}; there is {TASK_NAME!r}")
    task: HemorrhageInferTask | None = app._infers.get(TASK_NAME)
    if task is None:
        raise ModelError(str(app.model_error))
    return task
