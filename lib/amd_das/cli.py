"""The command ``amd-das``. It parses, calls and prints; everything else lives in the package.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from amd_das import __version__
from amd_das.conventions import PRESETS, RESEARCH_NOTICE
from amd_das.errors import AmdDasError, ConfigError

if TYPE_CHECKING:
    from amd_das.output.summary import SummaryRow
    from amd_das.pacs.config import PacsConfig

logger = logging.getLogger(__name__)

DONE, SOME_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses; 2 is also argparse's for a wrong command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default this process's); returns the exit status."""
    args = _parser().parse_args(arguments)
    _start_logging(verbose=args.verbose)
    try:
        return args.run(args)
    except (AmdDasError, OSError) as error:
        logger.debug("the command failed", exc_info=error)
        _complain("error", str(error))
        return REFUSED
    except KeyboardInterrupt:
        _complain("error", "interrupted")
        return INTERRUPTED


def _start_logging(*, verbose: bool) -> None:
    """Everything this package logs when verbose, nothing else otherwise: what a user must know is printed."""
    logging.basicConfig(
        level=logging.WARNING if verbose else logging.CRITICAL, format="%(levelname)s %(name)s: %(message)s"
    )
    if verbose:
        logging.getLogger("amd_das").setLevel(logging.DEBUG)


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
    _say(f"Results are in {args.output}. {RESEARCH_NOTICE}")
    return SOME_FAILED if failed else DONE


def _tell(row: "SummaryRow") -> None:
    if row.status == "error":
        _complain("error", f"{row.case}: {row.error}")
        return
    lesions = "1 lesion" if row.n_lesions == 1 else f"{row.n_lesions} lesions"
    _say(f"{row.case}: {row.volume_ml:.1f} mL, {lesions}, {row.seconds:.1f} s")
    if row.warnings:
        _complain("warning", f"{row.case}: {row.warnings}")


def _phantom(args: argparse.Namespace) -> int:
    from amd_das.phantom.files import write_cases

    paths = write_cases(count=args.count, kind=args.kind, format=args.format, seed=args.seed, directory=args.output)
    for path in paths:
        _say(str(path))
    return DONE


def _prepare(args: argparse.Namespace) -> int:
    from amd_das.pipeline.preparation import prepare_in_terminal

    return prepare_in_terminal(args, _scans(args.folder), _say, _complain)


def _datasets(args: argparse.Namespace) -> int:
    from amd_das.pipeline.preparation import datasets_in_terminal

    return datasets_in_terminal(args, _say, _complain)


def _range(text: str) -> tuple[int, int]:
    """First and last, as in 60-99."""
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected FIRST-LAST, as in 60-99")
    return int(first), int(last)


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
    _say(f"{len(source)} MRI slices, {matches.nearest_ct.shape[1]} most alike of {len(target)} CT slices for each")
    _say(f"{len(matches.matched_source)} MRI slices are the nearest of some CT slice")
    _say(f"{path} holds the pairs, {sheet} shows some")
    return DONE


def _doctor(args: argparse.Namespace) -> int:
    from amd_das.doctor import examine, report

    checks = examine(model_dir=args.model_dir, port=args.port)
    _say(json.dumps([asdict(check) for check in checks], indent=2) if args.json else report(checks))
    return SOME_FAILED if any(check.state == "fault" for check in checks) else DONE


def _pipeline(args: argparse.Namespace) -> int:
    from amd_das.models import default_model_dir
    from amd_das.pipeline.console import run_in_terminal

    return run_in_terminal(
        args.preset,
        args.workdir,
        args.model_dir or default_model_dir(),
        source=args.source,
        target=_scans(args.target) if args.target else None,
        until=args.until,
        device=args.device,
        processes=args.processes,
        progress_file=args.progress_file,
    )


def _fine_tune(args: argparse.Namespace) -> int:
    from amd_das.fine_tuning.config import FineTuneConfig
    from amd_das.fine_tuning.console import fine_tune_in_terminal
    from amd_das.models import default_model_dir

    chosen = {name: getattr(args, name) for name in ("steps", "learning_rate", "frozen_stages", "device")}
    return fine_tune_in_terminal(
        args.labels or _scans(args.studies),
        args.workdir,
        args.model_dir or default_model_dir(),
        FineTuneConfig(**{name: value for name, value in chosen.items() if value is not None}),
        submitted=args.labels is None,
        processes=args.processes,
        progress_file=args.progress_file,
        unless_unlabelled=args.unless_unlabelled,
    )


def _reproduce(args: argparse.Namespace) -> int:
    from amd_das.reproduction.console import reproduce_in_terminal

    return reproduce_in_terminal(
        args.table,
        args.preset,
        args.workdir,
        _say,
        seeds=args.seeds,
        source=args.source,
        target=_scans(args.target) if args.target else None,
        test=args.test,
        device=args.device,
        processes=args.processes,
    )


def _scans(place: str) -> "Path | PacsConfig":
    """Where scans are: a folder, or the address of a PACS."""
    from amd_das.pacs.config import PacsConfig

    return PacsConfig.from_environment(place) if place.startswith(("http://", "https://")) else Path(place)


def _evaluate(args: argparse.Namespace) -> int:
    from amd_das.evaluation.console import evaluate_in_terminal

    options = {"images": args.images, "subtypes": args.subtypes, "common": args.common}
    evaluate_in_terminal(args.pred, args.ref, args.output, _say, **options)
    return DONE


def _benchmark(args: argparse.Namespace) -> int:
    from amd_das.evaluation.console import benchmark_in_terminal
    from amd_das.models import default_model_dir

    benchmark_in_terminal(
        args.models,
        args.images,
        args.ref,
        args.output,
        _say,
        model_dir=args.model_dir or default_model_dir(),
        subtypes=args.subtypes,
        common=args.common,
        device=args.device,
    )
    return DONE


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
        _say(f"written: {_renewed_card(folder, args)}")
        return DONE
    used = models.version_in_use(folder)
    for version in models.list_versions(folder):
        metrics = models.read_info(folder, version).metrics
        numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
        scores = ", ".join(f"{name} {value}" for name, value in numbers.items() if not isinstance(value, bool))
        kept = f"  kept, not published: {metrics.get('reason')}" if metrics.get("published") is False else ""
        _say(f"{'*' if version == used else ' '} {version}  {scores}{kept}".rstrip())
    return DONE


def _renewed_card(folder: Path, args: argparse.Namespace) -> Path:
    from amd_das.model_card import renew_card

    if args.benchmark is None:
        raise ConfigError("models card needs --benchmark report.json, which amd-das benchmark writes")
    return renew_card(folder, args.version, args.benchmark, named=args.case_names)


def _export(args: argparse.Namespace) -> int:
    from amd_das.export.console import export_in_terminal

    export_in_terminal(args, _say)
    return DONE


def _cache(args: argparse.Namespace) -> int:
    from amd_das.pacs.cache import SeriesCache, default_cache_dir

    cache = SeriesCache(args.dir or default_cache_dir())
    if args.action == "clear":
        _say(f"removed {cache.clear()} series")
    usage = cache.usage()
    held = f", {usage.in_use} in use" if usage.in_use else ""
    age = f", the oldest last used {usage.oldest_hours:.1f} h ago" if usage.series else ""
    _say(f"{usage.series} series, {usage.bytes / 2**20:.1f} MiB in {usage.folder}{held}{age}")
    return DONE


def _users(args: argparse.Namespace) -> int:
    from amd_das.accounts.console import users_in_terminal

    users_in_terminal(args.action, args.name, args.roles, args.folder, _say)
    return DONE


def _listen(args: argparse.Namespace) -> int:
    from amd_das.listener.config import ListenConfig
    from amd_das.listener.console import listen_in_terminal
    from amd_das.listener.sending import parse_node
    from amd_das.pacs.config import PacsConfig

    config = ListenConfig(
        destination=parse_node(args.destination),
        allow=_names(args.allow),
        spool=args.spool,
        aet=args.aet,
        host=args.host,
        port=args.port,
        quiet_s=args.quiet,
        broken_quiet_s=max(args.quiet, args.quiet_broken),
        max_gb=args.max_gb,
        max_waiting=args.max_waiting,
        keep_hours=args.keep_hours,
        formats=_names(args.format),
        pacs=PacsConfig.from_environment(args.pacs) if args.pacs else None,
    )
    listen_in_terminal(config, _say, model_dir=args.model_dir, device=args.device)
    return DONE


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _takes_benchmark(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--benchmark", type=Path, metavar="REPORT.json", help=what)
    parser.add_argument(
        "--case-names", action="store_true", help="name its cases (default: number them; a name may tell a patient)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amd-das",
        description="Outline and measure intraparenchymal hemorrhage on non-contrast head CT.",
        epilog=RESEARCH_NOTICE,
    )
    parser.add_argument("--version", action="version", version=f"amd-das {__version__}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-v", "--verbose", action="store_true", help="show what is going on, on stderr")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model-dir",
        type=Path,
        metavar="DIR",
        help="folder of model versions (default: $AMD_DAS_MODEL_DIR, or model/ of this checkout)",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    segment = commands.add_parser(
        "segment",
        parents=[shared, model],
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
    segment.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    segment.add_argument(
        "--format",
        type=lambda names: tuple(dict.fromkeys(name.strip() for name in names.split(","))),
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
        help="mean probability below which a spot is left out beside a surer one; 0 keeps all (default: model's)",
    )
    segment.set_defaults(run=_segment)

    phantom = commands.add_parser(
        "phantom",
        parents=[shared],
        help="make synthetic heads with known lesions",
        description="Make synthetic heads with known lesions, masks beside them. The same seed gives the same bytes.",
    )
    phantom.add_argument("--count", type=int, default=1, metavar="N", help="how many (%(default)s)")
    phantom.add_argument("--kind", choices=("ct", "flair"), default="ct", help="modality (%(default)s)")
    phantom.add_argument("--format", choices=("nifti", "dicom"), default="nifti", help="of the images (%(default)s)")
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="(%(default)s)")
    phantom.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where cases go")
    phantom.set_defaults(run=_phantom)

    prepare = commands.add_parser(
        "prepare",
        parents=[shared],
        help="turn volumes into slices to train on",
        description="Turn a folder of skull-stripped FLAIR MRI with glioma masks (source) or of head CTs (target) into "
        "slices to train on. Public data sets are recognised by their layout; `amd-das datasets` lists them. Run "
        "again, it goes on where it was. A case that fails does not stop the others; exit status 1 then.",
    )
    domains = prepare.add_subparsers(title="domains", dest="domain", required=True, metavar="DOMAIN")
    slices = argparse.ArgumentParser(add_help=False)
    slices.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where slices go")
    slices.add_argument("--layout", metavar="NAME", help="data set's layout (default: detected)")
    slices.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th slice (%(default)s)")
    slices.add_argument(
        "--least-brain", type=int, default=1500, metavar="PX", help="least brain in a slice, mm² (%(default)s)"
    )
    slices.add_argument(
        "--official-split", action="store_true", help="hold out whom the set's authors did (default: drawn, and kept)"
    )
    slices.add_argument("--processes", type=int, metavar="N", help="(default: one per processor)")
    slices.add_argument("--retry", action="store_true", help="try cases again that failed before")
    source = domains.add_parser("source", parents=[shared, slices], help="labelled MRI")
    source.add_argument("folder", metavar="FOLDER", help="of a data set, or images/ with masks/")
    source.add_argument(
        "--slices",
        type=_range,
        default=(60, 99),
        metavar="FIRST-LAST",
        help="taken of a volume of 155, or those at the same heights (60-99)",
    )
    target = domains.add_parser("target", parents=[shared, slices], help="head CTs")
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

    datasets = commands.add_parser(
        "datasets",
        parents=[shared],
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

    match = commands.add_parser(
        "match",
        parents=[shared],
        help="find which MRI and CT slices look alike",
        description="Find the CT slices most alike to each MRI slice, and the MRI slice nearest to each CT slice. "
        "Writes DIR/matches.npz and a sheet of pairs to look at, DIR/pairs.png.",
    )
    match.add_argument("source", type=Path, metavar="SOURCE_STORE", help="slices of labelled MRI (prepare source)")
    match.add_argument("target", type=Path, metavar="TARGET_STORE", help="slices of CT (prepare target)")
    match.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where the pairs go")
    match.set_defaults(run=_match)

    pipeline = commands.add_parser(
        "pipeline",
        parents=[shared, model],
        help="make a segmenter from labelled MRI and unlabelled CT",
        description="Make a segmenter from labelled FLAIR MRI and unlabelled head CT, and publish it: prepare, match, "
        "synthesis, translate, segmentation, publish. A second run does only what changed, and an interrupted one "
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
    pipeline.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    pipeline.add_argument("--processes", type=int, metavar="N", help="that prepare scans (one for each processor)")
    pipeline.add_argument("--progress-file", type=Path, metavar="FILE", help="JSON that tells other programs how far")
    pipeline.set_defaults(run=_pipeline)

    reproduce = commands.add_parser(
        "reproduce",
        parents=[shared],
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
    reproduce.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    reproduce.add_argument("--processes", type=int, metavar="N", help="that prepare scans (one for each processor)")
    reproduce.set_defaults(run=_reproduce)

    tuning = commands.add_parser(
        "fine-tune",
        parents=[shared, model],
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
    tuning.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    tuning.add_argument("--processes", type=int, metavar="N", help="that prepare scans (one for each processor)")
    tuning.add_argument("--progress-file", type=Path, metavar="FILE", help="JSON that tells other programs how far")
    tuning.add_argument("--unless-unlabelled", action="store_true", help="where nothing is labelled, end without error")
    tuning.set_defaults(run=_fine_tune)

    versions = commands.add_parser(
        "models",
        parents=[shared, model],
        help="list model versions, choose one, remove one, write its card",
        description="List the versions of the model (* is in use), go back to another, or remove one; a running "
        "server takes up the change by itself. Or write a version's card again, with the cases it fails on.",
    )
    versions.add_argument("action", choices=("list", "use", "remove", "card"), nargs="?", default="list")
    versions.add_argument("version", nargs="?", help="as listed; for use, remove and card")
    _takes_benchmark(versions, "for card: of amd-das benchmark about this version")
    versions.set_defaults(run=_models)

    labelled = argparse.ArgumentParser(add_help=False)
    labelled.add_argument("--ref", required=True, type=Path, metavar="DIR", help="reference masks, as NAME.nii.gz")
    labelled.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="where the report goes")
    labelled.add_argument(
        "--subtypes",
        type=Path,
        metavar="CSV",
        help="columns case, subtypes (iph;ivh, or none) and scanner, for numbers by subtype and scanner",
    )
    labelled.add_argument("--common", action="store_true", help="leave out cases that lack a mask or an image")
    evaluate = commands.add_parser(
        "evaluate",
        parents=[shared, labelled],
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

    benchmark = commands.add_parser(
        "benchmark",
        parents=[shared, model, labelled],
        help="let models segment labelled scans, and score them",
        description="Segment labelled scans with each model, and report as `amd-das evaluate` does. Masks stay in "
        "DIR/predictions.",
        epilog=RESEARCH_NOTICE,
    )
    benchmark.add_argument("models", nargs="+", metavar="MODEL", help="a model folder, or a version (amd-das models)")
    benchmark.add_argument("--images", required=True, type=Path, metavar="DIR", help="the CTs")
    benchmark.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    benchmark.set_defaults(run=_benchmark)

    export = commands.add_parser(
        "export",
        parents=[shared, model],
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

    cache = commands.add_parser(
        "cache",
        parents=[shared],
        help="show or clear the series kept from the PACS",
        description="Show how much is kept of the series fetched from the PACS, or remove it. What a server is using "
        "at the moment stays.",
    )
    cache.add_argument("action", choices=("show", "clear"), nargs="?", default="show")
    cache.add_argument("--dir", type=Path, metavar="DIR", help="(default: $AMD_DAS_CACHE_DIR, or ~/.cache/amd-das)")
    cache.set_defaults(run=_cache)

    users = commands.add_parser(
        "users",
        parents=[shared],
        help="who may use a server: list, add, remove, change passwords and roles",
        description="Who may use a server, and as what: user (reads results), annotator (segments, saves labels), "
        "reviewer (removes labels), admin (trains, publishes, removes). Passwords are asked for, or read from stdin; "
        "they are kept as hashes. A running server takes up every change by itself.",
    )
    users.add_argument("action", choices=("list", "add", "password", "roles", "remove"), nargs="?", default="list")
    users.add_argument("name", nargs="?", metavar="NAME", help="of the user")
    users.add_argument("roles", nargs="*", metavar="ROLE", help="for add and roles: user, annotator, reviewer, admin")
    users.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where users are kept (default: $AMD_DAS_ACCOUNTS_DIR, or accounts/ in $AMD_DAS_RUNS_DIR or runs/)",
    )
    users.set_defaults(run=_users)

    listen = commands.add_parser(
        "listen",
        parents=[shared, model],
        help="segment series that arrive by DICOM, and send the results on",
        description="Take head CT series by C-STORE, segment each when it is complete, and C-STORE the results to "
        "another DICOM node. What is under way survives a crash. No encryption: for trusted networks.",
        epilog=RESEARCH_NOTICE,
    )
    listen.add_argument("--destination", required=True, metavar="AET@HOST:PORT", help="where results go")
    listen.add_argument("--allow", required=True, metavar="AET[,AET...]", help="AE titles that may send")
    listen.add_argument("--spool", required=True, type=Path, metavar="DIR", help="private folder for what is under way")
    listen.add_argument("--aet", default="AMDDAS", help="own AE title, which senders have to call (%(default)s)")
    listen.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    listen.add_argument("--port", type=int, default=11112, help="TCP port (%(default)s)")
    listen.add_argument(
        "--quiet",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="a series is complete when no sender of it is connected and nothing came for so long (%(default)g)",
    )
    listen.add_argument(
        "--quiet-broken",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="the same after a connection broke off: the sender may try again (%(default)g)",
    )
    listen.add_argument("--format", default="seg,sr,sc", help="of the results (%(default)s)")
    listen.add_argument(
        "--pacs", metavar="URL", help="DICOMweb PACS with earlier results, for the change since then in the report"
    )
    listen.add_argument("--max-gb", type=float, default=20.0, help="most the spool may hold (%(default)g)")
    listen.add_argument("--max-waiting", type=int, default=200, metavar="N", help="most series waiting (%(default)s)")
    listen.add_argument(
        "--keep-hours",
        type=float,
        default=6.0,
        metavar="HOURS",
        help="how long a series is kept afterwards, for slices that come late (%(default)g)",
    )
    listen.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    listen.set_defaults(run=_listen)

    doctor = commands.add_parser(
        "doctor",
        parents=[shared, model],
        help="check this installation",
        description="Check this installation and say what to do about each fault. Exit status 1 if there is one.",
    )
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    doctor.add_argument("--port", type=int, default=8000, metavar="PORT", help="the server's port (%(default)s)")
    doctor.set_defaults(run=_doctor)
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(kind: str, message: str) -> None:
    sys.stderr.write(f"{kind}: {' '.join(message.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
