"""Bytes out of possibly compressed streams, never more than a checked header says."""

import bz2
import gzip
import math
import zlib
from typing import IO, Final, Protocol

import numpy as np

from amd_das.errors import UnreadableError

CHUNK_BYTES: Final = 2**22
"""Read at a time, so that memory grows with what is really there and not with what a header claims."""

SLACK_BYTES: Final = 2**16
"""Padding tolerated after the last voxel; a file that goes on longer does not match its header."""

GZIP_MAGIC: Final = b"\x1f\x8b"
BROKEN_STREAM: Final = (EOFError, OSError, zlib.error)
"""What gzip and bz2 raise on a truncated or damaged stream."""


class Stream(Protocol):
    """What is read from: an open file, or a decompressor around one."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, none at the end."""
        ...


def decompressed(stream: IO[bytes], encoding: str) -> Stream:
    """A stream of the plain bytes; ``encoding`` is "raw", "gzip" or "bzip2"."""
    if encoding == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if encoding == "bzip2":
        return bz2.BZ2File(stream)
    return stream


def read_up_to(stream: Stream, count: int, name: str) -> bytearray:
    """At most ``count`` bytes, fewer where the stream ends; raises UnreadableError on a damaged stream."""
    data = bytearray()
    try:
        while len(data) < count:
            chunk = stream.read(min(CHUNK_BYTES, count - len(data)))
            if not chunk:
                break
            data += chunk
    except BROKEN_STREAM as error:
        raise UnreadableError(
            f"{name}: the compressed data breaks off or is damaged after {len(data)} bytes ({error}); "
            "copy or export the file again"
        ) from error
    return data


def read_voxels(stream: Stream, shape: tuple[int, ...], dtype: np.dtype, name: str) -> np.ndarray:
    """All voxels of an image of a shape and type that have been checked, first axis fastest.

    Returns:
        (I, J, K) float32, values beyond its range as infinity.

    Raises:
        UnreadableError: the stream is damaged, ends early or goes on.
    """
    count = math.prod(shape) * dtype.itemsize
    data = read_up_to(stream, count, name)
    if len(data) < count:
        raise UnreadableError(
            f"{name} is truncated: its header promises {count} bytes of voxels, {len(data)} are there; "
            "copy or export the file again"
        )
    if len(read_up_to(stream, SLACK_BYTES + 1, name)) > SLACK_BYTES:
        raise UnreadableError(
            f"{name} does not match its header: more data follows the {count} bytes of voxels it promises; "
            "export the file again"
        )
    with np.errstate(over="ignore"):
        return np.frombuffer(data, dtype).reshape(shape, order="F").astype(np.float32)
