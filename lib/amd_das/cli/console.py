"""What a command prints, and what it exits with."""

import sys
from typing import Final

DONE: Final = 0
SOME_FAILED: Final = 1
REFUSED: Final = 2
"""argparse's, too, for a wrong command line."""

INTERRUPTED: Final = 130


def say(line: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(kind: str, message: str) -> None:
    """One line on stderr, whatever line breaks the message has."""
    sys.stderr.write(f"{kind}: {' '.join(message.split())}\n")
