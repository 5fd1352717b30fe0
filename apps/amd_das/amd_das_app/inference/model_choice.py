"""Which model version is chosen, and following that choice while the server runs."""

import asyncio
import logging
from functools import partial
from typing import Final

from anyio.to_thread import run_sync

from amd_das.accounts import AuditLog
from amd_das.models import CURRENT, default_model_dir
from amd_das_app.monai_app import monai_label_app

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""How often the choice is looked up; one small file."""


def model_choice() -> str | None:
    """What the model folder names as the version in use; None when it names none."""
    try:
        return (default_model_dir() / CURRENT).read_text().strip()
    except OSError:
        return None


async def follow_model_choice(audit: AuditLog) -> None:
    """Have the app take up another version once one is published or chosen, by whatever process; audited."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        app = monai_label_app()
        if model_choice() != app.model_choice:
            sound = False
            try:
                await run_sync(app.reload_model)
                sound = app.model_error is None
            except Exception:
                logger.exception("the model could not be switched")
            outcome = "ok" if sound else "failed"
            await run_sync(
                partial(audit.write, "model in use", who="server", outcome=outcome, model_version=app.model_choice)
            )
