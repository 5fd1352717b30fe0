"""The real application's endpoints, behind the real access control, in this process."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import monailabel.config
import pytest
from fastapi import FastAPI
from helpers.people import NAMES, PASSWORD, add_people, cheap_hashes
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from amd_das.accounts import UserStore
from amd_das_app.access import auditing
from amd_das_app.access.control import AccessControl
from amd_das_app.access.middleware import Access
from amd_das_app.application import create_application
from amd_das_app.settings import ServerSettings

HOME = "http://127.0.0.1:8000"
REACHED = "the endpoint"


@dataclass
class Door:
    """Requests to endpoints that only say that they were reached."""

    app: ASGIApp
    control: AccessControl

    def ask(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
                return await client.request(method, path, headers=headers | options.pop("headers", {}), **options)

        return asyncio.run(send())

    def token(self, role: str) -> str:
        """Of the user of this role, by the real log-in."""
        found = asyncio.run(self.control.log_in(NAMES[role], PASSWORD, "127.0.0.1"))
        assert found is not None
        return found.token


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """With everything a server can have: a PACS behind it, though nobody answers there."""
    handlers = list(logging.getLogger().handlers)
    settings = monailabel.config.settings
    before = settings.MONAI_LABEL_STUDIES
    settings.MONAI_LABEL_STUDIES = "http://127.0.0.1:9/dicom-web"
    try:
        yield create_application(ServerSettings(runs_dir=str(tmp_path_factory.mktemp("runs"))))
    finally:
        settings.MONAI_LABEL_STUDIES = before
        logging.getLogger().handlers[:] = handlers


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    with cheap_hashes():
        yield


@pytest.fixture(scope="session", autouse=True)
def model() -> Iterator[None]:
    """What the audit log asks for: the model's version."""
    usual = auditing.monai_label_app
    task = SimpleNamespace(model=SimpleNamespace(info=SimpleNamespace(version="7")))
    auditing.monai_label_app = lambda: SimpleNamespace(_infers={"amd_das": task})
    yield
    auditing.monai_label_app = usual


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "accounts"


@pytest.fixture
def store(folder: Path) -> UserStore:
    return add_people(folder)


def door_of(application: FastAPI, control: AccessControl) -> Door:
    """The access control before something that answers 299 in place of the endpoints."""

    async def reached(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(REACHED, 299)(scope, receive, send)

    inner = Access(reached, control)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope | {"app": application}, receive, send)

    return Door(app, control)


@pytest.fixture
def door(application: FastAPI, folder: Path, store: UserStore) -> Door:
    return door_of(application, AccessControl(folder, realm=None, token_seconds=600))
