"""Versions of the model: ``models`` and ``export``."""

import argparse
from pathlib import Path

from amd_das.cli.console import DONE, say
from amd_das.cli.options import MODEL_DIR, VERBOSE, Commands
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError


def add_models(commands: Commands) -> None:
    versions = commands.add_parser(
        "models",
        parents=[VERBOSE, MODEL_DIR],
        help="list model versions, choose one, remove one, write its card",
        description="List the versions of the model (* is in use), go back to another, or remove one; a running "
        "server takes up the change by itself. Or write a version's card again, with the cases it fails on.",
    )
    versions.add_argument("action", choices=("list", "use", "remove", "card"), nargs="?", default="list")
    versions.add_argument("version", nargs="?", help="as listed; for use, remove and card")
    _takes_benchmark(versions, "for card: of amd-das benchmark about this version")
    versions.set_defaults(run=_models)


def _models(args: argparse.Namespace) -> int:
    from amd_das import models

    folder = args.model_dir or models.default_model_dir()
    if args.action != "card" and (args.benchmark or args.case_names):
        raise ConfigError(f"models {args.action} takes no --benchmark and no --case-names; models card does")
    if args.action != "list" and not args.version:
        raise ConfigError(f"models {args.action} needs a version; there are: {', '.join(models.list_versions(folder))}")
    if args.action == "use":
        models.load_version(folder, args.version)  # whole and sound, before anyone relies on it
        models.use_version(folder, args.version)
    elif args.action == "remove":
        models.remove_version(folder, args.version)
    elif args.action == "card":
        say(f"written: {_renewed_card(folder, args)}")
        return DONE
    used = models.version_in_use(folder)
    for version in models.list_versions(folder):
        metrics = models.read_info(folder, version).metrics
        numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
        scores = ", ".join(f"{name} {value}" for name, value in numbers.items() if not isinstance(value, bool))
        kept = f"  kept, not published: {metrics.get('reason')}" if metrics.get("published") is False else ""
        say(f"{'*' if version == used else ' '} {version}  {scores}{kept}".rstrip())
    return DONE


def _renewed_card(folder: Path, args: argparse.Namespace) -> Path:
    from amd_das.model_card import renew_card

    if args.benchmark is None:
        raise ConfigError("models card needs --benchmark report.json, which amd-das benchmark writes")
    return renew_card(folder, args.version, args.benchmark, named=args.case_names)


def add_export(commands: Commands) -> None:
    export = commands.add_parser(
        "export",
        parents=[VERBOSE, MODEL_DIR],
        help="write the model as a MONAI Bundle or as ONNX",
        description="Write a version of the model for other software: a MONAI Bundle that segments whole scans, with "
        "all code it needs, or the network of slices as one ONNX file. Both say what they are and what they need.",
        epilog=RESEARCH_NOTICE,
    )
    export.add_argument("format", choices=("bundle", "onnx"))
    export.add_argument("--version", metavar="VERSION", help="see amd-das models (default: the one in use)")
    export.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help="new folder of the bundle, or file NAME.onnx"
    )
    _takes_benchmark(export, "of amd-das benchmark about this version: failure cases for the bundle's model card")
    export.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from amd_das.export.console import export_in_terminal

    export_in_terminal(args, say)
    return DONE


def _takes_benchmark(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--benchmark", type=Path, metavar="REPORT.json", help=what)
    parser.add_argument(
        "--case-names", action="store_true", help="name its cases (default: number them; a name may tell a patient)"
    )
