"""Who did what with which case: one JSON object a line, readable by its owner alone, rotated."""

import json
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from amd_das.accounts.private_files import locked, make_private_folder

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 10 * 1024 * 1024
"""Bytes of a file before the next one begins (ours)."""

KEPT: Final = 20
"""Earlier files kept beside it (ours): some 700,000 lines altogether."""

MAX_TEXT: Final = 200
"""Characters of a value; the rest is cut."""


class AuditLog:
    """``audit.jsonl`` of an accounts folder, ``audit.jsonl.1`` the one before. Several processes may write to it."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.path = folder / "audit.jsonl"
        self._max_bytes = max_bytes
        self._kept = kept
        self._lock = threading.Lock()

    def write(
        self,
        action: str,
        *,
        who: str | None,
        outcome: str,
        case: str | None = None,
        model_version: str | None = None,
        **details: str | int | None,
    ) -> None:
        """Append a line; a log that cannot be written is an error of its own, and stops nobody's work.

        Args:
            action: such as "infer" or "label save".
            who: user name; None for nobody in particular.
            outcome: "ok", or why not.
            case: the scan's id; never a patient's name.
            model_version: where a model was used, published or removed.
            details: more, without secrets.
        """
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": who,
            "action": action,
            "case": case,
            "model_version": model_version,
            "outcome": outcome,
            **details,
        }
        kept = {key: _short(value) for key, value in entry.items() if value is not None or key == "who"}
        line = json.dumps(kept, ensure_ascii=True).encode() + b"\n"
        try:
            make_private_folder(self.path.parent)
            with self._lock, locked(self.path.with_name(".audit.lock")):
                if self.path.exists() and self.path.stat().st_size + len(line) > self._max_bytes:
                    self._rotate()
                with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                    file.write(line)
        except OSError as error:
            logger.error("the audit log cannot be written: %s", error.strerror)

    def _rotate(self) -> None:
        files = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._kept + 1))]
        for older, newer in zip(reversed(files), reversed(files[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)


def _short(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
