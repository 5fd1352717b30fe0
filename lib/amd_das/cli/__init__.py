"""The command ``amd-das``. It parses, calls and prints; everything else lives in the package.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from amd_das.cli.command import main
from amd_das.cli.console import DONE, INTERRUPTED, REFUSED, SOME_FAILED

__all__ = ["DONE", "INTERRUPTED", "REFUSED", "SOME_FAILED", "main"]
