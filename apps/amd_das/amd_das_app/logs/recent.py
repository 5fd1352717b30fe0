"""The last lines of the log, in memory: what ``/logs/`` shows, without a file to fill a disk."""

import logging
from collections import deque

MAX_LINES = 2000


class RecentLog(logging.Handler):
    """Keeps the last lines; tracebacks stay in the server's own output."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self.setFormatter(logging.Formatter("{asctime} {levelname} {name}: {message}", style="{"))

    def emit(self, record: logging.LogRecord) -> None:
        """One line per record."""
        record = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
        self.lines.append(self.format(record))
