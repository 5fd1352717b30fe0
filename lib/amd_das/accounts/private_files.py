"""Files that only their owner may read, written whole."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amd_das.errors import ConfigError


def make_private_folder(folder: Path) -> None:
    """Make it with access for the owner alone; one that exists stays as it is."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write under a temporary name, flush to disk and rename; mode 0600 from the first byte."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_private(path: Path) -> bytes:
    """Raises ConfigError if others could read or change it, OSError if it cannot be read."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & 0o077:
            raise ConfigError(f"{path} has mode {mode & 0o777:o}, so others can get at it; say chmod 600 {path}")
        return file.read()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time; the lock file stays, empty."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
