"""A train task of MONAI Label's whose work is a process of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_map

from amd_das.errors import TrainingError
from amd_das_app.settings import ServerSettings
from amd_das_app.training.job_record import Job
from amd_das_app.training.jobs import JobManager
from amd_das_app.training.reports import read_stats

HINTS: Final = frozenset(
    {"client_id", "dataset", "gpus", "local_rank", "model", "multi_gpu", "name", "run_id", "tracking"}
)
"""What MONAI Label and its clients send along and no result depends on."""


def is_dicomweb(studies: str) -> bool:
    """Whether studies are a PACS's address; else they are a folder."""
    return studies.startswith(("http://", "https://"))


class ProcessTrainTask(TrainTask):
    """Each kind says what a client may choose, what can be checked beforehand, and the command line."""

    def __init__(self, name: str, description: str, folder: Path, settings: ServerSettings) -> None:
        """``folder`` is the server's own, for jobs and trainers' states."""
        super().__init__(description)
        self.name = name
        self.folder = folder
        self.settings = settings
        self.devices = {shown: "cuda:0" if name == "cuda" else name for shown, name in device_map().items()}

    def parse(self, given: Mapping[str, Any]) -> Any:
        """A client's params as the task's own, which are hashable and have ``as_request()``; raises ConfigError."""
        raise NotImplementedError

    def check(self, params: Any) -> None:
        """What can be known before work starts; raises AmdDasError."""
        raise NotImplementedError

    def check_among_all(self, params: Any) -> Any:
        """The same where every trainer is started at once; returns the params to go on with."""
        self.check(params)
        return params

    def command(self, params: Any, progress: Path) -> list[str]:
        """The command line of a job that reports to ``progress``."""
        raise NotImplementedError

    def about(self, params: Any) -> str:
        """First line of the job's log."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """How far the last training of this trainer is or got."""
        return read_stats(self.folder, self.name)

    def submit(self, jobs: JobManager, params: Any, *, group: str = "", enqueue: bool = False) -> Job:
        """Start the job or put it in line; raises as :meth:`JobManager.submit` does."""
        return jobs.submit(
            self.name,
            params.as_request(),
            lambda progress: self.command(params, progress),
            about=self.about(params),
            group=group,
            enqueue=enqueue,
        )

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """MONAI Label's own way in: works until the training is over, and returns its state.

        Raises:
            TrainingError: it could not finish.
        """
        params = self.parse(request)
        self.check(params)
        jobs = JobManager(self.folder, stop_seconds=self.settings.stop_seconds)
        jobs.find()
        job = self.submit(jobs, params)
        try:
            jobs.wait(job)
        except BaseException:
            jobs.stop()
            raise
        if job.status != "DONE":
            raise TrainingError(f"{self.name}: {job.note}")
        return self.stats()
