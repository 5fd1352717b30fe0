"""What training begins with: ``phantom``, ``prepare``, ``datasets``, ``match``."""

import argparse
import sys
from pathlib import Path

from amd_das.cli.console import DONE, complain, say
from amd_das.cli.options import PROCESSES, VERBOSE, Commands, scans


def add_phantom(commands: Commands) -> None:
    phantom = commands.add_parser(
        "phantom",
        parents=[VERBOSE],
        help="make synthetic heads with known lesions",
        description="Make synthetic heads with known lesions, masks beside them. The same seed gives the same bytes.",
    )
    phantom.add_argument("--count", type=int, default=1, metavar="N", help="how many (%(default)s)")
    phantom.add_argument("--kind", choices=("ct", "flair"), default="ct", help="modality (%(default)s)")
    phantom.add_argument("--format", choices=("nifti", "dicom"), default="nifti", help="of the images (%(default)s)")
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="(%(default)s)")
    phantom.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where cases go")
    phantom.set_defaults(run=_phantom)


def _phantom(args: argparse.Namespace) -> int:
    from amd_das.phantom.files import write_cases

    paths = write_cases(count=args.count, kind=args.kind, format=args.format, seed=args.seed, directory=args.output)
    for path in paths:
        say(str(path))
    return DONE


def add_prepare(commands: Commands) -> None:
    prepare = commands.add_parser(
        "prepare",
        parents=[VERBOSE],
        help="turn volumes into slices to train on",
        description="Turn a folder of skull-stripped FLAIR MRI with glioma masks (source) or of head CTs (target) into "
        "slices to train on. Public data sets are recognised by their layout; `amd-das datasets` lists them. Run "
        "again, it goes on where it was. A case that fails does not stop the others; exit status 1 then.",
    )
    domains = prepare.add_subparsers(title="domains", dest="domain", required=True, metavar="DOMAIN")
    slices = argparse.ArgumentParser(add_help=False, parents=[PROCESSES])
    slices.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where slices go")
    slices.add_argument("--layout", metavar="NAME", help="data set's layout (default: detected)")
    slices.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th slice (%(default)s)")
    slices.add_argument(
        "--least-brain", type=int, default=1500, metavar="PX", help="least brain in a slice, mm² (%(default)s)"
    )
    slices.add_argument(
        "--official-split", action="store_true", help="hold out whom the set's authors did (default: drawn, and kept)"
    )
    slices.add_argument("--retry", action="store_true", help="try cases again that failed before")
    source = domains.add_parser("source", parents=[VERBOSE, slices], help="labelled MRI")
    source.add_argument("folder", metavar="FOLDER", help="of a data set, or images/ with masks/")
    source.add_argument(
        "--slices",
        type=_range,
        default=(60, 99),
        metavar="FIRST-LAST",
        help="taken of a volume of 155, or those at the same heights (60-99)",
    )
    target = domains.add_parser("target", parents=[VERBOSE, slices], help="head CTs")
    target.add_argument(
        "folder", metavar="FOLDER|URL", help="of a data set, of NIfTI, NRRD or DICOM, or a PACS (DICOMweb)"
    )
    target.add_argument("--masks", type=Path, metavar="DIR", help="masks for CTs of a plain folder")
    target.add_argument("--labelled", action="store_true", help="take the masks that come with the set")
    target.add_argument("--lesion", choices=("iph", "any"), help="what those masks shall outline (iph, if they can)")
    target.add_argument(
        "--label",
        choices=("edh", "iph", "ivh", "sah", "sdh"),
        help="only scans, and slices where slices are labelled, that show this kind of hemorrhage",
    )
    for domain in (source, target):
        domain.set_defaults(run=_prepare)


def _prepare(args: argparse.Namespace) -> int:
    from amd_das.pipeline.preparation import prepare_in_terminal

    return prepare_in_terminal(args, scans(args.folder), say, complain)


def _range(text: str) -> tuple[int, int]:
    """First and last, as in 60-99."""
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected FIRST-LAST, as in 60-99")
    return int(first), int(last)


def add_datasets(commands: Commands) -> None:
    datasets = commands.add_parser(
        "datasets",
        parents=[VERBOSE],
        help="list the data sets that can be read, look at one, write it as plain files",
        description="List the data sets that can be read and their terms; check what a folder holds; or export it to "
        "DIR/images, DIR/masks and DIR/cases.csv.",
    )
    datasets.add_argument("action", choices=("list", "check", "export"), nargs="?", default="list")
    datasets.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="of a data set")
    datasets.add_argument("--layout", metavar="NAME", help="(default: detected)")
    datasets.add_argument("--lesion", choices=("iph", "any", "glioma"), help="what masks shall outline")
    datasets.add_argument("-o", "--output", type=Path, metavar="DIR", help="where exported files go")
    datasets.set_defaults(run=_datasets)


def _datasets(args: argparse.Namespace) -> int:
    from amd_das.pipeline.preparation import datasets_in_terminal

    return datasets_in_terminal(args, say, complain)


def add_match(commands: Commands) -> None:
    match = commands.add_parser(
        "match",
        parents=[VERBOSE],
        help="find which MRI and CT slices look alike",
        description="Find the CT slices most alike to each MRI slice, and the MRI slice nearest to each CT slice. "
        "Writes DIR/matches.npz and a sheet of pairs to look at, DIR/pairs.png.",
    )
    match.add_argument("source", type=Path, metavar="SOURCE_STORE", help="slices of labelled MRI (prepare source)")
    match.add_argument("target", type=Path, metavar="TARGET_STORE", help="slices of CT (prepare target)")
    match.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where the pairs go")
    match.set_defaults(run=_match)


def _match(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from amd_das.matching import match, write_sheet
    from amd_das.slices import SliceStore

    source, target = SliceStore.open(args.source), SliceStore.open(args.target)
    args.output.mkdir(parents=True, exist_ok=True)
    with tqdm(file=sys.stderr, unit="slice") as bar:

        def show(done: int, total: int, what: str) -> None:
            bar.total = total
            bar.set_description_str(what, refresh=False)
            bar.update(done - bar.n)

        matches = match(source, target, progress=show)
    path = matches.save(args.output / "matches.npz")
    sheet = write_sheet(source, target, matches, args.output / "pairs.png")
    say(f"{len(source)} MRI slices, {matches.nearest_ct.shape[1]} most alike of {len(target)} CT slices for each")
    say(f"{len(matches.matched_source)} MRI slices are the nearest of some CT slice")
    say(f"{path} holds the pairs, {sheet} shows some")
    return DONE
