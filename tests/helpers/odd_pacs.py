"""A DICOMweb server that answers whatever a test wants it to."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STUDY, SERIES = "1.2.3.4.5.6.1", "1.2.3.4.5.6.2"


@dataclass(kw_only=True)
class Reply:
    """One answer; ``wait`` seconds late, and cut off after ``cut`` bytes."""

    status: int = 200
    body: bytes = b"[]"
    kind: str = "application/dicom+json"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    cut: int | None = None


def as_json(*items: Mapping[str, Any], status: int = 200) -> Reply:
    """DICOM JSON: keyword-free tags → one value each, or a list of values."""
    body = [
        {tag: {"vr": "UN", "Value": value if isinstance(value, list) else [value]} for tag, value in item.items()}
        for item in items
    ]
    return Reply(status=status, body=json.dumps(body).encode())


def series_item(uid: str = SERIES, **tags: Any) -> dict[str, Any]:
    """A CT series of ten as QIDO lists it."""
    return {"0020000D": STUDY, "0020000E": uid, "00080060": "CT", "00201209": 10} | tags


@contextmanager
def odd_pacs(answer: Callable[[str, str], Reply]) -> Iterator[tuple[str, list[str]]]:
    """Yields its address and the requests it got, as "GET /path?query"; ``answer(method, path)`` decides."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            reply = answer(self.command, self.path)
            stop.wait(reply.wait)
            self.send_response(reply.status)
            for name, value in {
                "Content-Type": reply.kind,
                "Content-Length": str(len(reply.body)),
                **reply.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the client has given up
                self.wfile.write(reply.body[: reply.cut])
            self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web", asked
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()
