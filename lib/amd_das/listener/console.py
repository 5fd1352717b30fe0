"""The listener in a terminal: its log on stderr, and stopped by Ctrl+C or SIGTERM."""

import logging
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.listener.config import ListenConfig
from amd_das.listener.listener import Listener
from amd_das.listener.worker import ModelInUse

logger = logging.getLogger(__name__)


def listen_in_terminal(
    config: ListenConfig, say: Callable[[str], None], *, model_dir: Path | None = None, device: str | None = None
) -> None:
    """Listen until told to stop. The log names series by hashes, nothing of the patient.

    Args:
        config: see there.
        say: told what a user should see first.
        model_dir: folder of model versions.
        device: torch name; a GPU where there is one if None.

    Raises:
        ConfigError: the port or the spool folder cannot be used, or there is no such device.
        ModelError: there is no sound model.
    """
    warnings.filterwarnings("ignore", module="pydicom|highdicom")  # theirs quote values of the patient's
    package = logging.getLogger("amd_das")
    package.setLevel(min(logging.INFO, package.level or logging.INFO))
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter("{asctime} {levelname} {message}", style="{"))
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    listener = Listener(config, ModelInUse(model_dir, device))
    try:
        listener.start()
        say(f"{config.aet} listens on {config.host} port {listener.port}. {RESEARCH_NOTICE}")
        say(f"  model      {listener.model.version}")
        say(f"  from       {', '.join(config.allow)}")
        say(f"  results    {', '.join(config.formats)} to {config.destination}")
        say(f"  spool      {config.spool}, at most {config.max_gb:g} GB")
        say("Stop with Ctrl+C.")
        stopping.wait()
    finally:
        listener.stop()
    say("Stopped; what was under way goes on with the next start.")
