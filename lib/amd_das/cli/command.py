"""From a command line to an exit status."""

import argparse
import logging
from collections.abc import Sequence

from amd_das import __version__
from amd_das.cli import data, installation, scoring, segmenting, services, training, versions
from amd_das.cli.console import INTERRUPTED, REFUSED, complain
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import AmdDasError

logger = logging.getLogger(__name__)

_COMMANDS = (
    segmenting.add_segment,
    data.add_phantom,
    data.add_prepare,
    data.add_datasets,
    data.add_match,
    training.add_pipeline,
    training.add_reproduce,
    training.add_fine_tune,
    versions.add_models,
    scoring.add_evaluate,
    scoring.add_benchmark,
    versions.add_export,
    services.add_cache,
    services.add_users,
    services.add_listen,
    installation.add_doctor,
)
"""In the order of ``amd-das --help``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default this process's); returns the exit status."""
    args = _parser().parse_args(arguments)
    _start_logging(verbose=args.verbose)
    try:
        return args.run(args)
    except (AmdDasError, OSError) as error:
        logger.debug("the command failed", exc_info=error)
        complain("error", str(error))
        return REFUSED
    except KeyboardInterrupt:
        complain("error", "interrupted")
        return INTERRUPTED


def _start_logging(*, verbose: bool) -> None:
    """Everything this package logs when verbose, nothing else otherwise: what a user must know is printed."""
    logging.basicConfig(
        level=logging.WARNING if verbose else logging.CRITICAL, format="%(levelname)s %(name)s: %(message)s"
    )
    if verbose:
        logging.getLogger("amd_das").setLevel(logging.DEBUG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amd-das",
        description="Outline and measure intraparenchymal hemorrhage on non-contrast head CT.",
        epilog=RESEARCH_NOTICE,
    )
    parser.add_argument("--version", action="version", version=f"amd-das {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(commands)
    return parser
