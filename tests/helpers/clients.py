"""MONAI Label's own client, the class that the 3D Slicer plugin calls."""

import warnings
from pathlib import Path
from typing import Any

from helpers.running_server import RunningServer


def client_of(server: RunningServer, folder: Path) -> Any:
    """A client that keeps what it receives in a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports cgi
        from monailabel.client.client import MONAILabelClient

    return MONAILabelClient(server.url, tmpdir=str(folder), client_id="user-xyz")
