"""A multipart body taken apart while it comes in, so that memory does not grow with it."""

from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Final

MAX_HEADER_BYTES: Final = 2**14


class MultipartError(Exception):
    """The body is no multipart message, or breaks off."""


def boundary_of(content_type: str) -> bytes:
    """The boundary named in a Content-Type; raises MultipartError where there is none."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_maintype() != "multipart" or not boundary:
        raise MultipartError(f"the content type is {message.get_content_type()}, expected multipart/related")
    return boundary.encode()


def split_parts(chunks: Iterable[bytes], boundary: bytes) -> Iterator[tuple[int, bytes]]:
    """The contents of a message's parts, without their headers.

    Args:
        chunks: the body, in pieces of any size.
        boundary: from the Content-Type.

    Yields:
        (number of the part from 0, a further piece of its content), in order; an empty part yields nothing.

    Raises:
        MultipartError: the body ends before the closing boundary, or a part's header is endless.
    """
    delimiter = b"\r\n--" + boundary
    buffer = bytearray(b"\r\n")  # the first boundary may open the body without a line break
    part, place = -1, "content"  # before the first boundary: a preamble, to be passed over
    for chunk in chunks:
        buffer += chunk
        while True:
            if place == "content":
                at = buffer.find(delimiter)
                known = at if at >= 0 else max(0, len(buffer) - len(delimiter) + 1)
                if part >= 0 and known:
                    yield part, bytes(buffer[:known])
                del buffer[: known if at < 0 else at + len(delimiter)]
                if at < 0:
                    break
                part, place = part + 1, "header"
            if len(buffer) < 2:
                break
            if buffer.startswith(b"--"):
                return
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > MAX_HEADER_BYTES:
                    raise MultipartError(f"the header of part {part + 1} is longer than {MAX_HEADER_BYTES} bytes")
                break
            del buffer[: end + 4]
            place = "content"
    raise MultipartError(f"the message breaks off in part {part + 1}")
