"""Archives unpacked so that nothing lands outside the folder and nothing grows beyond the limits."""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from amd_das.errors import TooLargeError, UnreadableError
from amd_das_app.errors import BadNameError
from amd_das_app.requests.names import quoted

ARCHIVE_EXTENSIONS = (".zip", ".tar", ".tar.gz", ".tgz")
_CHUNK = 1024 * 1024


def is_archive(name: str) -> bool:
    """Whether a file name says that the file is an archive."""
    return name.lower().endswith(ARCHIVE_EXTENSIONS)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in archive.infolist():
        if member.is_dir():
            continue
        if member.external_attr >> 16 & 0o170000 not in (0, 0o100000):
            raise BadNameError(f"{quoted(member.filename)} in the archive is no plain file; archive plain files only")
        with archive.open(member) as stream:
            yield member.filename, stream


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in archive:
        if member.isdir():
            continue
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            raise BadNameError(f"{quoted(member.name)} in the archive is no plain file; archive plain files only")
        with stream:
            yield member.name, stream


def _target(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise BadNameError(f"{quoted(name)} in the archive points outside of it; use plain relative names")
    return folder.joinpath(*parts)


def unpack(archive: Path, folder: Path, *, max_files: int, max_bytes: int) -> list[Path]:
    """Unpack a zip or tar into an empty folder.

    Returns:
        The files written.

    Raises:
        BadNameError: a member is a link or device, or its name leads out of the folder.
        TooLargeError: more files or bytes than the limits; counted while unpacking, headers are not believed.
        UnreadableError: not an archive, damaged, or without files.
    """
    written: list[Path] = []
    total = 0
    try:
        with zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive) as opened:
            members = _zip_members(opened) if isinstance(opened, zipfile.ZipFile) else _tar_members(opened)
            for name, stream in members:
                target = _target(folder, name)
                if len(written) == max_files:
                    raise TooLargeError(f"the archive holds more than {max_files} files, the most accepted here")
                if target.exists():
                    raise BadNameError(f"{quoted(name)} is in the archive twice; give every file its own name")
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    while chunk := stream.read(_CHUNK):
                        total += len(chunk)
                        if total > max_bytes:
                            limit = f"{max_bytes / 2**20:.0f} MiB"
                            raise TooLargeError(f"the archive unpacks to more than {limit}, the most accepted here")
                        file.write(chunk)
                written.append(target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, ImportError) as error:
        if isinstance(error, OSError) and error.errno is not None and shutil.disk_usage(folder).free < _CHUNK:
            raise
        kinds = ", ".join(ARCHIVE_EXTENSIONS)
        raise UnreadableError(
            f"{archive.name} cannot be unpacked ({type(error).__name__}); expected a sound {kinds}"
        ) from error
    if not written:
        raise UnreadableError(f"{archive.name} holds no files; archive the image files themselves")
    return written
