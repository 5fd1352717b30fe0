"""Files sent by clients: into a folder of their own that is gone when the request is over, however it ends."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import run_sync
from fastapi import UploadFile

from amd_das.errors import TooLargeError, UnreadableError
from amd_das_app.errors import BadNameError
from amd_das_app.requests.archives import is_archive, unpack
from amd_das_app.requests.names import safe_file_name
from amd_das_app.settings import ServerSettings

SCRATCH_PREFIX = "amd-das-"


@asynccontextmanager
async def scratch_folder() -> AsyncIterator[Path]:
    """A new folder under the system's temporary folder, removed on success, failure and cancellation."""
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """With everything in it; what is gone already is no error."""
    shutil.rmtree(folder, ignore_errors=True)


def _save(upload: UploadFile, folder: Path) -> Path:
    path = folder / safe_file_name(upload.filename)
    if path.exists():
        raise BadNameError(f"two files are called {path.name!r}; give every file its own name")
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1024 * 1024)
    if path.stat().st_size == 0:
        raise UnreadableError(f"{path.name} is empty (0 bytes); send the image itself")
    return path


async def save_upload(upload: UploadFile, folder: Path) -> Path:
    """One uploaded file under its own, cleaned name; its bytes were limited while they came in."""
    return await run_sync(_save, upload, folder)


def _as_one_image(paths: Sequence[Path], folder: Path, settings: ServerSettings) -> Path:
    if len(paths) > 1 or not is_archive(paths[0].name):
        return paths[0] if len(paths) == 1 else paths[0].parent
    images = folder / "unpacked"
    images.mkdir()
    files = unpack(paths[0], images, max_files=settings.max_archive_files, max_bytes=settings.max_archive_bytes)
    paths[0].unlink()
    folders = {file.parent for file in files}
    if len(files) == 1:
        return files[0]
    if len(folders) > 1:
        raise UnreadableError(f"the archive holds files in {len(folders)} folders; expected one DICOM series in one")
    return folders.pop()


async def save_image(uploads: Sequence[UploadFile], folder: Path, settings: ServerSettings) -> Path:
    """One image out of what was sent: a file, the slices of a DICOM series, or an archive of either.

    Returns:
        The image file, or the folder of the series.
    """
    if len(uploads) > settings.max_archive_files:
        raise TooLargeError(f"{len(uploads)} files were sent; at most {settings.max_archive_files} are accepted")
    received = folder / "received"
    received.mkdir()
    paths = [await save_upload(upload, received) for upload in uploads]
    return await run_sync(_as_one_image, paths, folder, settings)
