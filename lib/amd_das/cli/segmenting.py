"""From head CT to outlines: ``segment``."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amd_das.cli.console import DONE, SOME_FAILED, complain, say
from amd_das.cli.options import DEVICE, MODEL_DIR, VERBOSE, Commands, names
from amd_das.conventions import RESEARCH_NOTICE

if TYPE_CHECKING:
    from amd_das.output.summary import SummaryRow


def add_segment(commands: Commands) -> None:
    segment = commands.add_parser(
        "segment",
        parents=[VERBOSE, MODEL_DIR, DEVICE],
        help="segment head CTs",
        description="Segment head CTs. Writes DIR/<case>.nii.gz (mask), .json (measurements) and .png (overlay) for "
        "each, and DIR/summary.csv; with --format seg,sr,sc also -seg.dcm, -sr.dcm and -sc/. An input that cannot be "
        "segmented does not stop the others; exit status 1 then.",
        epilog=RESEARCH_NOTICE,
    )
    segment.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help=".nii, .nii.gz, .nrrd or DICOM file, DICOM folder, or a folder of those",
    )
    segment.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where results go")
    segment.add_argument(
        "--format",
        type=names,
        default=("nii.gz",),
        metavar="NAMES",
        help="of the results, separated by commas: nii.gz or nrrd (mask), and for DICOM input seg, sr (report) and "
        "sc (overlay pictures); default: nii.gz",
    )
    segment.add_argument(
        "--threshold", type=float, metavar="P", help="probability from which a voxel is hemorrhage (default: model's)"
    )
    segment.add_argument(
        "--sure-from",
        type=float,
        metavar="P",
        help="mean probability below which a spot is left out beside a surer one, as blood behind fluid is; 0 keeps "
        "both (default: model's)",
    )
    segment.set_defaults(run=_segment)


def _segment(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from amd_das.inference import InferenceConfig, Predictor
    from amd_das.journey import segment_cases
    from amd_das.models import load_current

    config = InferenceConfig()
    if args.threshold is not None:
        config = replace(config, threshold=args.threshold)
    if args.sure_from is not None:
        config = replace(config, sure_from=args.sure_from)
    predictor = Predictor(load_current(args.model_dir), config, device=args.device)
    failed = 0
    with tqdm(total=1.0, file=sys.stderr, bar_format="{percentage:3.0f}% |{bar:24}| {elapsed} {desc}") as bar:

        def show(stage: str, fraction: float) -> None:
            bar.set_description_str(stage, refresh=False)
            bar.update(max(0.0, min(fraction, 1.0) - bar.n))

        for row in segment_cases(args.inputs, predictor, args.output, formats=args.format, progress=show):
            failed += row.status == "error"
            with tqdm.external_write_mode():
                _tell(row)
        show("done", 1.0)
    say(f"Results are in {args.output}. {RESEARCH_NOTICE}")
    return SOME_FAILED if failed else DONE


def _tell(row: "SummaryRow") -> None:
    if row.status == "error":
        complain("error", f"{row.case}: {row.error}")
        return
    lesions = "1 lesion" if row.n_lesions == 1 else f"{row.n_lesions} lesions"
    say(f"{row.case}: {row.volume_ml:.1f} mL, {lesions}, {row.seconds:.1f} s")
    if row.warnings:
        complain("warning", f"{row.case}: {row.warnings}")
