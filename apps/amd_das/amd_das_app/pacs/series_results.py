"""What jobs on series leave behind: a private folder for each, there whole or not at all."""

import io
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.errors import NotFoundError
from amd_das.files import write_whole
from amd_das.output.overlay import write_overlay
from amd_das.pacs.processing import Processed

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "seg.dcm": "application/dicom",
    "sr.dcm": "application/dicom",
    "sc.zip": "application/zip",
    "overlay.png": "image/png",
    "result.json": "application/json",
}
"""The files there may be."""


class SeriesResults:
    """Folders by job id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder, and remove what a killed process left half-written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self.folder.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)

    def has(self, job_id: str) -> bool:
        """Whether a job's result is there."""
        return (self.folder / job_id).is_dir()

    def file(self, job_id: str, name: str) -> Path:
        """One file of a result; raises NotFoundError."""
        path = self.folder / job_id / name
        if not path.is_file():
            there = sorted(one.name for one in (self.folder / job_id).glob("*"))
            raise NotFoundError(f"this job has no {name}; there are: {', '.join(there) or 'no files any more'}")
        return path

    def record(self, job_id: str) -> dict[str, Any]:
        """The result in numbers."""
        found: dict[str, Any] = json.loads(self.file(job_id, "result.json").read_bytes())
        return found

    def keep(self, job_id: str, done: Processed) -> None:
        """Write a result."""
        part = self.folder / f".{job_id}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        for name, datasets in done.objects.items():
            if name == "sc":
                _write_zip(part / "sc.zip", datasets)
            else:
                datasets[0].save_as(part / f"{name}.dcm", write_like_original=False)
        segmentation = done.segmentation
        write_overlay(
            done.volume,
            segmentation.mask,
            segmentation.measurement,
            part / "overlay.png",
            model_version=segmentation.model.version,
        )
        write_whole(part / "result.json", json.dumps(done.record, allow_nan=False).encode())
        part.rename(self.folder / job_id)

    def datasets(self, job_id: str) -> list[Dataset]:
        """The DICOM objects, the report last: what it refers to should be there before it."""
        folder = self.folder / job_id
        found = [dcmread(folder / "seg.dcm")] if (folder / "seg.dcm").exists() else []
        if (folder / "sc.zip").exists():
            with zipfile.ZipFile(folder / "sc.zip") as archive:
                found += [dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
        return found + ([dcmread(folder / "sr.dcm")] if (folder / "sr.dcm").exists() else [])

    def remove(self, job_ids: Sequence[str]) -> None:
        """Results of jobs that have expired."""
        for job_id in job_ids:
            shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def ids(self) -> list[str]:
        """Jobs of which there is a result."""
        return [path.name for path in self.folder.glob("[!.]*")]


def _write_zip(path: Path, datasets: Sequence[Dataset]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, dataset in enumerate(datasets, 1):
            buffer = io.BytesIO()
            dataset.save_as(buffer, write_like_original=False)
            archive.writestr(f"{number:04d}.dcm", buffer.getvalue())
