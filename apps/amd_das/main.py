"""The MONAI Label app: which tasks, trainers and strategies exist. ``monailabel start_server --app apps/amd_das``."""

import logging
from collections.abc import Mapping
from typing import Any

from amd_das_app.environment import prepare_monai_label

prepare_monai_label()

from fastapi import HTTPException  # noqa: E402
from monailabel.config import settings  # noqa: E402
from monailabel.interfaces.app import MONAILabelApp  # noqa: E402
from monailabel.interfaces.datastore import Datastore  # noqa: E402
from monailabel.interfaces.tasks.infer_v2 import InferTask  # noqa: E402
from monailabel.interfaces.tasks.scoring import ScoringMethod  # noqa: E402
from monailabel.interfaces.tasks.strategy import Strategy  # noqa: E402
from monailabel.interfaces.tasks.train import TrainTask  # noqa: E402

import amd_das  # noqa: E402
from amd_das.conventions import LABELS, RESEARCH_NOTICE  # noqa: E402
from amd_das.errors import AmdDasError, ModelError  # noqa: E402
from amd_das.models import load_current  # noqa: E402
from amd_das.reading import ReadingConfig  # noqa: E402
from amd_das_app.access.start import refuse_other_server  # noqa: E402
from amd_das_app.inference.batch import CpuSafeBatchInfer  # noqa: E402
from amd_das_app.inference.edit_task import (  # noqa: E402
    EDIT_NAME,
    SCRIBBLES_NAME,
    EditInferTask,
    ScribblesInferTask,
)
from amd_das_app.inference.known_scans import KnownScans  # noqa: E402
from amd_das_app.inference.model_choice import model_choice  # noqa: E402
from amd_das_app.inference.task import TASK_NAME, HemorrhageInferTask  # noqa: E402
from amd_das_app.pacs.datastore import PacsDatastore  # noqa: E402
from amd_das_app.requests.marks import BACKGROUND  # noqa: E402
from amd_das_app.settings import server_settings  # noqa: E402
from amd_das_app.studies_folder import StudiesFolder  # noqa: E402
from amd_das_app.training.tasks import Training, make_trainers  # noqa: E402
from amd_das_app.worklist.case_scores import CaseScores  # noqa: E402
from amd_das_app.worklist.scoring_method import SCORING_NAME, DiceVolume  # noqa: E402
from amd_das_app.worklist.strategies import make_strategies  # noqa: E402

logger = logging.getLogger(__name__)

PURPOSE = "Outlines and measures intraparenchymal hemorrhage on non-contrast head CT."


class AmdDasApp(MONAILabelApp):
    """Hemorrhage on head CT; without a sound model there is no infer task, and the description says why."""

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        settings = server_settings()
        refuse_other_server(settings)
        self.reading = ReadingConfig(max_file_bytes=settings.max_upload_bytes, max_voxels=settings.max_voxels)
        self.model_error: ModelError | None = None
        self.training = Training.of(conf, studies, settings)
        self.cases = CaseScores(self.training.folder / "worklist", lease_s=60 * settings.lease_minutes)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="AMD-DAS",
            description=f"{PURPOSE} {RESEARCH_NOTICE}",
            version=amd_das.__version__,
            labels=[*LABELS, BACKGROUND],
        )

    def info(self) -> dict[str, Any]:
        """What clients ask first; says so when there is no model."""
        info = super().info()
        if trouble := self.pacs_trouble():
            info["description"] += f" No scans can be listed: {trouble}."
        if self.model_error is not None:
            served = self._infers.get(TASK_NAME)
            state = (
                f"Model {served.model.info.version} still serves" if served else "No model, so nothing can be segmented"
            )
            info["description"] += f" {state}: {self.model_error}."
        return info

    def init_datastore(self) -> Datastore:
        """The studies folder, or the PACS where an address is given."""
        if self.studies.startswith(("http://", "https://")):
            return super().init_datastore()
        return StudiesFolder(
            self.studies,
            extensions=settings.MONAI_LABEL_DATASTORE_FILE_EXT,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def init_remote_datastore(self) -> PacsDatastore:
        """The PACS; it need not answer yet."""
        return PacsDatastore.of(self.studies, server_settings(), self.reading)

    def pacs_trouble(self) -> str:
        """Why the PACS gives no scans; empty when all is well, or when the studies are a folder."""
        datastore = self.datastore()
        return str((isinstance(datastore, PacsDatastore) and datastore.trouble) or "")

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """As MONAI Label does it; a series of the PACS is not fetched yet, and has no path: clients download it."""
        if not isinstance(datastore := self.datastore(), PacsDatastore):
            return super().next_sample(request) or {}
        chosen = self._strategies[request.get("strategy") or next(iter(self._strategies))](request, datastore) or {}
        return {**chosen, "path": ""} if chosen.get("id") else {}

    def init_infers(self) -> dict[str, InferTask]:
        """The automatic task and its corrections by hand, or none when the model is absent or damaged."""
        self.model_choice = model_choice()
        try:
            model = load_current()
        except ModelError as error:
            logger.error("no infer task: %s", error)
            self.model_error = error
            return {}
        logger.info("model %s, SHA-256 %s", model.info.version, model.info.checksum)
        self.model_error = None
        automatic, known = HemorrhageInferTask(model, self.reading), KnownScans(self.reading)
        return {
            TASK_NAME: automatic,
            EDIT_NAME: EditInferTask(automatic, known),
            SCRIBBLES_NAME: ScribblesInferTask(automatic, known),
        }

    def reload_model(self) -> None:
        """Take up the model now in use, requests under way finishing with the one they began with.

        A damaged version is reported, and the one before it stays; without a choice there is no model any more.
        """
        before = self._infers
        infers = self.init_infers()
        self._infers = infers or (before if self.model_choice else {})

    def init_trainers(self) -> dict[str, TrainTask]:
        """The pipeline, whole first, and up to each of its steps."""
        return make_trainers(self.training, server_settings())

    def init_strategies(self) -> dict[str, Strategy]:
        """How the next scan to label is chosen."""
        return make_strategies(self.cases, self.model_version)

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """The automatic outline against the final label."""
        return {SCORING_NAME: DiceVolume(self.cases, self.model_version)}

    def model_version(self) -> str:
        """The version that segments; empty without one."""
        task = self._infers.get(TASK_NAME)
        return task.model.info.version if task else ""

    def init_batch_infer(self) -> CpuSafeBatchInfer:
        """MONAI Label's batch task, without its division by zero GPUs."""
        return CpuSafeBatchInfer()

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """As MONAI Label does it, with refusals that its own server can report."""
        try:
            return super().infer(request, datastore)
        except AmdDasError as error:
            raise HTTPException(error.status, f"{error.code}: {error}") from error
