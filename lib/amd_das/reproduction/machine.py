"""Where and with what a table was made."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from amd_das.processes import processors

_PACKAGE = Path(__file__).resolve().parents[1]


def machine() -> str:
    """Processor, cores this process may use, GPU if there is one, torch."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{_processor()}, {processors()} of {os.cpu_count()} cores{gpu}, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def commit() -> str | None:
    """The checkout's commit, "+" behind it where the package was changed since; None where it is no checkout."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    head = _git("rev-parse", "--short=10", "HEAD")
    return f"{head}+" if head and _git("status", "--porcelain", "--", ".") else head


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(("git", *words), cwd=_PACKAGE, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
