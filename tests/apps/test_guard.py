"""Who may ask, and how much may be sent, before any endpoint sees the request."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from amd_das_app.errors import install_error_handlers
from amd_das_app.guard import Guard
from amd_das_app.settings import ServerSettings

HOME = "http://127.0.0.1:8000"


@dataclass
class Client:
    """Requests to an application in this process."""

    app: FastAPI

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def client_for(settings: ServerSettings) -> Client:
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(Guard, settings=settings)

    @app.post("/infer/x")
    @app.post("/other")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("secret /path")

    return Client(app)


@pytest.fixture
def client() -> Client:
    return client_for(ServerSettings(max_upload_bytes=1000, max_body_bytes=100))


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:9", "[::1]:8000"])
def test_loopback_names_are_answered(client: Client, host: str) -> None:
    assert client.post("/other", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[", "10.0.0.1"])
def test_other_hosts_are_not(client: Client, host: str) -> None:
    answer = client.post("/other", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_host")


def test_a_star_answers_any_host() -> None:
    answer = client_for(ServerSettings(allowed_hosts=("*",))).post("/other", headers={"Host": "ct.example"})
    assert answer.status_code == 200


def test_writes_of_foreign_pages_are_refused(client: Client) -> None:
    foreign = client.post("/other", headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["error"]) == (403, "foreign_origin")
    assert client.post("/other", headers={"Origin": HOME}).status_code == 200
    named = client_for(ServerSettings(cors_origins=("https://pacs.example",)))
    assert named.post("/other", headers={"Origin": "https://pacs.example"}).status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/infer/x", 1000), ("/other", 100)])
@pytest.mark.parametrize("streamed", [False, True])
def test_bodies_are_limited_declared_or_streamed(client: Client, path: str, limit: int, streamed: bool) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 10):
            yield b"x" * 10

    def body(size: int) -> bytes | AsyncIterator[bytes]:
        return chunks(size) if streamed else b"x" * size

    assert client.post(path, content=body(limit)).json() == limit
    refused = client.post(path, content=body(limit + 10))
    assert (refused.status_code, refused.json()["error"]) == (413, "too_large")


def test_unexpected_errors_say_nothing_about_the_inside(client: Client) -> None:
    answer = client.request("GET", "/fails")
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal", "detail": "an error inside the server; its log says more"}


def test_unknown_paths_and_methods_are_json(client: Client) -> None:
    assert client.request("GET", "/nowhere").json()["error"] == "not_found"
    assert client.request("DELETE", "/other").json()["error"] == "method_not_allowed"
