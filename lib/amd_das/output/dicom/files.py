"""DICOM objects as files, each there whole or not at all."""

import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from amd_das.files import write_whole


def write_dicom(objects: Mapping[str, Sequence[Dataset]], directory: Path, case_id: str) -> tuple[Path, ...]:
    """Write ``<case>-seg.dcm``, ``<case>-sr.dcm`` and the folder ``<case>-sc`` with ``0001.dcm``, ….

    Args:
        objects: as :func:`amd_das.output.dicom.dicom_objects` returns them.
        directory: exists; objects of the same case are replaced.
        case_id: name of the case.

    Returns:
        The files and the folder.
    """
    written = []
    for kind, datasets in objects.items():
        if kind == "sc":
            written.append(_write_folder(datasets, directory / f"{case_id}-{kind}"))
        else:
            (dataset,) = datasets
            written.append(write_whole(directory / f"{case_id}-{kind}.dcm", as_file(dataset)))
    return tuple(written)


def as_file(dataset: Dataset) -> bytes:
    """A dataset as the bytes of a DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, write_like_original=False)
    return buffer.getvalue()


def _write_folder(datasets: Sequence[Dataset], folder: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        for number, dataset in enumerate(datasets, start=1):
            (new / f"{number:04d}.dcm").write_bytes(as_file(dataset))
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    return folder
