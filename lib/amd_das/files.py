"""Files that are there whole or not at all."""

import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> Path:
    """Write to a temporary name beside ``path`` and rename; returns ``path``. The folder must exist."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
