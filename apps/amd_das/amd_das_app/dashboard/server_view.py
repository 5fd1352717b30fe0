"""What the dashboard says of the server: who waits for a device, what fills the disk, the end of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from monailabel.config import settings as monai_label_settings

from amd_das.models import default_model_dir
from amd_das_app.dashboard.storage import Storage, StorageCount
from amd_das_app.dashboard.words import size
from amd_das_app.inference.task import TASK_NAME
from amd_das_app.monai_app import monai_label_app
from amd_das_app.state import ServerState
from amd_das_app.training.process_task import is_dicomweb

LOG_LINES: Final = 80


@dataclass(frozen=True, kw_only=True)
class DeviceView:
    """The line of one device."""

    name: str
    running: int
    waiting: int
    finished: int


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """All devices."""

    devices: tuple[DeviceView, ...]
    most: int
    """That may wait for one device."""

    scoring: str
    """The scan that is scored in the background; empty for none."""

    jobs: Mapping[str, int]
    """Series of the PACS by their job's state; empty where the studies are a folder."""

    @property
    def busy(self) -> int:
        """Inferences at work or in line."""
        return sum(device.running + device.waiting for device in self.devices)


@dataclass(frozen=True, kw_only=True)
class DiskView:
    """One file system."""

    names: str
    free: str
    total: str
    used_percent: int
    is_low: bool


@dataclass(frozen=True, kw_only=True)
class StorageView:
    """What fills which disk."""

    folders: tuple[tuple[str, str, str], ...]
    """Name, size, number of files."""

    disks: tuple[DiskView, ...]


def queue(state: ServerState) -> QueueView:
    """As it stands."""
    now = state.queues.state()
    task = monai_label_app()._infers.get(TASK_NAME)
    idle = {"running": 0, "waiting": 0, "finished": 0}
    devices = dict.fromkeys(task.devices.values() if task else (), idle) | now["devices"]
    jobs = state.series_jobs
    return QueueView(
        devices=tuple(DeviceView(name=name, **line) for name, line in devices.items()),
        most=now["max_waiting"],
        scoring=state.scorer.busy_with,
        jobs={} if jobs is None else {one: jobs.store.count(one) for one in ("queued", "running", "done", "failed")},
    )


def storage_count(state: ServerState) -> StorageCount:
    """Of this server's folders."""
    studies = monai_label_settings.MONAI_LABEL_STUDIES
    own = {"Studies": Path(studies)} if not is_dicomweb(studies) else {}
    cache = {"Series fetched from the PACS": state.settings.cache_folder} if is_dicomweb(studies) else {}
    return StorageCount(
        {**own, "Trainings and scores": state.jobs.folder, **cache, "Model versions": default_model_dir()}
    )


def storage(found: Storage) -> StorageView:
    """In words."""
    return StorageView(
        folders=tuple((use.name, size(use.used), f"{use.files:,}") for use in found.folders),
        disks=tuple(
            DiskView(
                names=", ".join(disk.names).lower(),
                free=size(disk.free),
                total=size(disk.total),
                used_percent=round(100 * (1 - disk.free / max(disk.total, 1))),
                is_low=disk.is_low,
            )
            for disk in found.disks
        ),
    )


def log_tail(lines: Sequence[str]) -> list[str]:
    """The newest line first."""
    return list(islice(reversed(lines), LOG_LINES))
