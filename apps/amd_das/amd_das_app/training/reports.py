"""What becomes of a job's progress: the trainer's ``train_stats.json``, and lines in the server's log."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from amd_das.files import write_whole
from amd_das_app.training.job_record import Job
from amd_das_app.training.progress import NEVER_TRAINED, percent_of, read_json, sentence, train_stats

logger = logging.getLogger(__name__)

STATS: Final = "train_stats.json"


def read_stats(folder: Path, model: str) -> dict[str, Any]:
    """A trainer's last known state in a server's folder."""
    return read_json(folder / model / STATS) or dict(NEVER_TRAINED)


class TrainReports:
    """Passes on the progress of one job after the other."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the server's own; each trainer's state goes into a folder of its name."""
        self.folder = folder
        self._news: tuple[Any, ...] = ()
        self._logged = 0.0

    def tell(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Each piece of news goes to the file, each per cent and each step to the log."""
        news = (job.id, job.status, progress.get("step"), progress.get("done"), progress.get("message"))
        if news == self._news:
            return
        before, self._news = self._news, news
        self.write_stats(job, progress)
        if progress and (before[:3] != news[:3] or percent_of(progress) >= self._logged + 1):
            self._logged = percent_of(progress)
            logger.info("training of %s: %s", job.model, sentence(progress))

    def write_stats(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Into the file; a full disk is logged and stops nothing."""
        stats = train_stats(progress, status=job.status, start=job.began or job.submitted, end=job.ended, note=job.note)
        path = self.folder / job.model / STATS
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, (json.dumps(stats, indent=2) + "\n").encode())
        except OSError as error:
            logger.error("cannot write %s: %s", path, error.strerror)
