"""The studies folder as MONAI Label keeps it, one thread at a time.

MONAI Label's own reads and rewrites its list of scans without a lock: what notices new files empties the list for a
moment and fills it again, while requests, the scorer and submissions use it in other threads.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import Datastore

_WATCHER: Final = ("_on_any_event", "_on_modify_event")


class StudiesFolder(LocalDatastore):
    """MONAI Label's datastore of a local folder; each of its operations waits for the one before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As MONAI Label's."""
        self._turn = threading.RLock()
        with self._turn:  # the watcher it starts waits until it is complete
            super().__init__(*arguments, **options)


def _in_turn(name: str) -> Callable[..., Any]:
    method = getattr(LocalDatastore, name)

    @wraps(method)
    def call(self: StudiesFolder, *arguments: Any, **options: Any) -> Any:
        with self._turn:
            return method(self, *arguments, **options)

    return call


for _name in (*Datastore.__abstractmethods__, *_WATCHER):
    setattr(StudiesFolder, _name, _in_turn(_name))
