"""Options that several commands take, each said once, and how their words are read."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from amd_das.pacs.config import PacsConfig

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _option(*flags: str, **settings: object) -> argparse.ArgumentParser:
    """A parser for ``parents=`` that knows one option."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(*flags, **settings)  # type: ignore[arg-type]
    return parser


VERBOSE: Final = _option("-v", "--verbose", action="store_true", help="show what is going on, on stderr")
MODEL_DIR: Final = _option(
    "--model-dir",
    type=Path,
    metavar="DIR",
    help="folder of model versions (default: $AMD_DAS_MODEL_DIR, or model/ of this checkout)",
)
DEVICE: Final = _option("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
PROCESSES: Final = _option(
    "--processes", type=int, metavar="N", help="that prepare scans (default: one for each processor)"
)
PROGRESS_FILE: Final = _option(
    "--progress-file", type=Path, metavar="FILE", help="JSON that tells other programs how far"
)


def scans(place: str) -> "Path | PacsConfig":
    """Where scans are: a folder, or the address of a PACS."""
    from amd_das.pacs.config import PacsConfig

    return PacsConfig.from_environment(place) if place.startswith(("http://", "https://")) else Path(place)


def names(text: str) -> tuple[str, ...]:
    """What is separated by commas, without spaces around, empty names or repetitions."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
