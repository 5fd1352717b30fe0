"""Scans of the studies by their id, wherever they are: a file of a folder, or a series of the PACS."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.requests.names import image_path


def require_image(app: Any, image_id: str) -> None:
    """Raises NotFoundError for an unknown id, PacsError when the PACS does not answer. May wait for the PACS."""
    datastore = app.datastore()
    if isinstance(datastore, PacsDatastore):
        datastore.require(image_id)
    else:
        image_path(datastore, image_id, app.studies)


@contextmanager
def image_in_use(app: Any, image_id: str) -> Iterator[Path]:
    """The scan's file, or the folder of its series, which stays there until the context ends. May wait for the PACS.

    Raises:
        NotFoundError: an unknown id.
        PacsError: the PACS does not answer, or not as it should.
    """
    datastore = app.datastore()
    if isinstance(datastore, PacsDatastore):
        with datastore.image_in_use(image_id) as folder:
            yield folder
    else:
        yield image_path(datastore, image_id, app.studies)


@asynccontextmanager
async def image_at_hand(app: Any, image_id: str) -> AsyncIterator[Path]:
    """:func:`image_in_use` off the event loop."""
    held = image_in_use(app, image_id)
    path = await run_sync(held.__enter__)
    try:
        yield path
    finally:
        held.__exit__(None, None, None)
