"""How good: ``evaluate`` and ``benchmark``."""

import argparse
from pathlib import Path

from amd_das.cli.console import DONE, say
from amd_das.cli.options import DEVICE, MODEL_DIR, VERBOSE, Commands
from amd_das.conventions import RESEARCH_NOTICE

_LABELLED = argparse.ArgumentParser(add_help=False)
_LABELLED.add_argument("--ref", required=True, type=Path, metavar="DIR", help="reference masks, as NAME.nii.gz")
_LABELLED.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where the report goes")
_LABELLED.add_argument(
    "--subtypes",
    type=Path,
    metavar="CSV",
    help="columns case, subtypes (iph;ivh, or none) and scanner, for numbers by subtype and scanner",
)
_LABELLED.add_argument("--common", action="store_true", help="leave out cases that lack a mask or an image")


def add_evaluate(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        parents=[VERBOSE, _LABELLED],
        help="score masks against references",
        description="Score masks against references, by volume and by slice, and write a report: report.html, with "
        "cases.csv, slices.csv and report.json beside it. Several --pred are compared on the same scans.",
        epilog=RESEARCH_NOTICE,
    )
    evaluate.add_argument(
        "--pred",
        required=True,
        action="append",
        metavar="[NAME=]DIR",
        help="masks of a model, as `amd-das segment` writes them; again for another model",
    )
    evaluate.add_argument("--images", type=Path, metavar="DIR", help="the CTs, for pictures of the worst cases")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from amd_das.evaluation.console import evaluate_in_terminal

    options = {"images": args.images, "subtypes": args.subtypes, "common": args.common}
    evaluate_in_terminal(args.pred, args.ref, args.output, say, **options)
    return DONE


def add_benchmark(commands: Commands) -> None:
    benchmark = commands.add_parser(
        "benchmark",
        parents=[VERBOSE, MODEL_DIR, DEVICE, _LABELLED],
        help="let models segment labelled scans, and score them",
        description="Segment labelled scans with each model, and report as `amd-das evaluate` does. Masks stay in "
        "DIR/predictions.",
        epilog=RESEARCH_NOTICE,
    )
    benchmark.add_argument("models", nargs="+", metavar="MODEL", help="a model folder, or a version (amd-das models)")
    benchmark.add_argument("--images", required=True, type=Path, metavar="DIR", help="the CTs")
    benchmark.set_defaults(run=_benchmark)


def _benchmark(args: argparse.Namespace) -> int:
    from amd_das.evaluation.console import benchmark_in_terminal
    from amd_das.models import default_model_dir

    benchmark_in_terminal(
        args.models,
        args.images,
        args.ref,
        args.output,
        say,
        model_dir=args.model_dir or default_model_dir(),
        subtypes=args.subtypes,
        common=args.common,
        device=args.device,
    )
    return DONE
