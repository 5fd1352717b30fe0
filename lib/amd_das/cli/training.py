"""Making and renewing models: ``pipeline``, ``reproduce``, ``fine-tune``."""

import argparse
from pathlib import Path

from amd_das.cli.console import say
from amd_das.cli.options import DEVICE, MODEL_DIR, PROCESSES, PROGRESS_FILE, VERBOSE, Commands, scans
from amd_das.conventions import PRESETS, RESEARCH_NOTICE


def add_pipeline(commands: Commands) -> None:
    pipeline = commands.add_parser(
        "pipeline",
        parents=[VERBOSE, MODEL_DIR, DEVICE, PROCESSES, PROGRESS_FILE],
        help="make a segmenter from labelled MRI and unlabelled CT",
        description="Make a segmenter from labelled FLAIR MRI and unlabelled head CT, and publish it: prepare, match, "
        "synthesis, translate, segmentation, publish. What went on from the model in use (adapt, renew) replaces it "
        "only if it is not worse on phantom heads. A second run does only what changed, and an interrupted one "
        "continues. Ctrl+C stops after a checkpoint.",
        epilog=RESEARCH_NOTICE,
    )
    pipeline.add_argument(
        "--preset",
        choices=PRESETS,
        default=PRESETS[0],
        help="(%(default)s); adapt goes on from the model in use, with CT alone; renew has it teach a new network so",
    )
    pipeline.add_argument(
        "--source", type=Path, metavar="DIR", help="labelled MRI: Decathlon's folder, or images/ and masks/ (phantoms)"
    )
    pipeline.add_argument(
        "--target", metavar="DIR|URL", help="head CT in a folder or a DICOMweb PACS, no labels needed (phantoms)"
    )
    pipeline.add_argument(
        "--workdir", type=Path, default=Path("runs/pipeline"), metavar="DIR", help="what is made, kept (%(default)s)"
    )
    pipeline.add_argument("--until", default="publication", metavar="STEP", help="last step to run (%(default)s)")
    pipeline.set_defaults(run=_pipeline)


def _pipeline(args: argparse.Namespace) -> int:
    from amd_das.models import default_model_dir
    from amd_das.pipeline.console import run_in_terminal

    return run_in_terminal(
        args.preset,
        args.workdir,
        args.model_dir or default_model_dir(),
        source=args.source,
        target=scans(args.target) if args.target else None,
        until=args.until,
        device=args.device,
        processes=args.processes,
        progress_file=args.progress_file,
    )


def add_reproduce(commands: Commands) -> None:
    reproduce = commands.add_parser(
        "reproduce",
        parents=[VERBOSE, DEVICE, PROCESSES],
        help="train and score the rows of one of the paper's tables",
        description="Train and score every row of a table of the paper with given data, and print the paper's Dice "
        "beside ours; `ablation` is the method's parts one after the other, up to what labels are worth. Without "
        "folders phantoms stand in. Ctrl+C stops after a checkpoint; run again, it goes on where it was.",
        epilog=RESEARCH_NOTICE,
    )
    reproduce.add_argument("table", choices=("table2", "table3", "table4", "table5", "ablation"))
    reproduce.add_argument(
        "--preset", choices=("smoke", "small", "shipped", "paper"), default="paper", help="(%(default)s)"
    )
    reproduce.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="N", help="each row is trained with each of them (0)"
    )
    reproduce.add_argument("--source", type=Path, metavar="DIR", help="labelled MRI (default: phantoms)")
    reproduce.add_argument("--target", metavar="DIR|URL", help="head CT without labels (default: phantoms)")
    reproduce.add_argument("--test", type=Path, metavar="DIR", help="labelled head CT to score on; with --target")
    reproduce.add_argument(
        "--workdir", type=Path, default=Path("runs/reproduce"), metavar="DIR", help="what is made, kept (%(default)s)"
    )
    reproduce.set_defaults(run=_reproduce)


def _reproduce(args: argparse.Namespace) -> int:
    from amd_das.reproduction.console import reproduce_in_terminal

    return reproduce_in_terminal(
        args.table,
        args.preset,
        args.workdir,
        say,
        seeds=args.seeds,
        source=args.source,
        target=scans(args.target) if args.target else None,
        test=args.test,
        device=args.device,
        processes=args.processes,
    )


def add_fine_tune(commands: Commands) -> None:
    tuning = commands.add_parser(
        "fine-tune",
        parents=[VERBOSE, MODEL_DIR, DEVICE, PROCESSES, PROGRESS_FILE],
        help="learn from labels that somebody has drawn or corrected",
        description="Go on training the model in use on labelled CT, and on the pseudo-CT of a pipeline that worked in "
        "the same folder. Some patients are held out, always the same ones; the new version is put to use only if it "
        "is not worse on their scans than the one before, and kept otherwise. Ctrl+C stops after a checkpoint.",
        epilog=RESEARCH_NOTICE,
    )
    place = tuning.add_mutually_exclusive_group(required=True)
    place.add_argument("--labels", type=Path, metavar="DIR", help="scans and masks/, or a public data set")
    place.add_argument(
        "--studies", metavar="DIR|URL", help="a server's studies with labels/final/, or a PACS with SEGs drawn by hand"
    )
    tuning.add_argument(
        "--workdir", type=Path, default=Path("runs/pipeline"), metavar="DIR", help="what is made, kept (%(default)s)"
    )
    tuning.add_argument("--steps", type=int, metavar="N", help="most training steps (300)")
    tuning.add_argument("--learning-rate", type=float, metavar="RATE", help="(0.001)")
    tuning.add_argument("--frozen-stages", type=int, metavar="N", help="lower encoder stages that stay, of 5 (1)")
    tuning.add_argument("--unless-unlabelled", action="store_true", help="where nothing is labelled, end without error")
    tuning.set_defaults(run=_fine_tune)


def _fine_tune(args: argparse.Namespace) -> int:
    from amd_das.fine_tuning.config import FineTuneConfig
    from amd_das.fine_tuning.console import fine_tune_in_terminal
    from amd_das.models import default_model_dir

    chosen = {name: getattr(args, name) for name in ("steps", "learning_rate", "frozen_stages", "device")}
    return fine_tune_in_terminal(
        args.labels or scans(args.studies),
        args.workdir,
        args.model_dir or default_model_dir(),
        FineTuneConfig(**{name: value for name, value in chosen.items() if value is not None}),
        submitted=args.labels is None,
        processes=args.processes,
        progress_file=args.progress_file,
        unless_unlabelled=args.unless_unlabelled,
    )
