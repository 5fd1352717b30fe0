"""Files that are on the disk when a function returns, and how much they take."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def write_synced(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, and wait until the disk has it."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def with_stats(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Those paths that exist."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


def bytes_below(folder: Path) -> int:
    """Of all files in a folder and its folders."""
    found = with_stats(list(folder.rglob("*")))
    return sum(status.st_size for _, status in found if stat.S_ISREG(status.st_mode))
