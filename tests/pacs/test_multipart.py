"""Multipart bodies in pieces of any size."""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from amd_das.pacs.multipart import MultipartError, boundary_of, split_parts

BODY = (
    b"--b1\r\nContent-Type: application/dicom\r\nContent-Length: 5\r\n\r\n\x00\r\n-b"
    b"\r\n--b1\r\n\r\nsecond\r\n--b"
    b"\r\n--b1--\r\nepilogue"
)


def collected(chunks: Iterable[bytes], boundary: bytes = b"b1") -> list[bytes]:
    parts: dict[int, bytes] = defaultdict(bytes)
    for number, piece in split_parts(chunks, boundary):
        parts[number] += piece
    return [parts[number] for number in sorted(parts)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_parts_come_whole_whatever_the_pieces(size: int) -> None:
    chunks = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    assert collected(chunks) == [b"\x00\r\n-b", b"second\r\n--b"]
    assert collected([b"preamble\r\n", *chunks]) == [b"\x00\r\n-b", b"second\r\n--b"]


@pytest.mark.parametrize("end", [0, 3, 20, 70, len(BODY) - 15])
def test_a_body_that_breaks_off_is_refused(end: int) -> None:
    with pytest.raises(MultipartError, match="breaks off"):
        collected([BODY[:end]])


def test_an_endless_header_is_refused() -> None:
    with pytest.raises(MultipartError, match="header of part 1"):
        collected([b"--b1\r\nX: ", b"x" * 20_000])


def test_the_boundary_is_read_from_the_content_type() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary="b 1"') == b"b 1"
    for other in ("text/html", "multipart/related", ""):
        with pytest.raises(MultipartError, match="expected multipart"):
            boundary_of(other)
