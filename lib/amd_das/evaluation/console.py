"""`amd-das evaluate` and `amd-das benchmark` in a terminal."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.evaluation.attributes import Attributes, read_table
from amd_das.evaluation.benchmark import PREDICTIONS, load_models, segment_cases
from amd_das.evaluation.cases import image_cases, pair_cases
from amd_das.evaluation.measures import MEASURES
from amd_das.evaluation.report import ReportFiles, write_report
from amd_das.evaluation.report.tables import area_text, estimate_text
from amd_das.evaluation.scoring import Progress, score_cases
from amd_das.inference import Predictor

Say = Callable[[str], None]
_SAID = ("dice", "hd95_mm", "volume_bias_ml", "lesion_f1", "false_positive_ml")


def evaluate_in_terminal(
    preds: Sequence[str],
    ref: Path,
    output: Path,
    say: Say,
    *,
    images: Path | None = None,
    subtypes: Path | None = None,
    common: bool = False,
) -> None:
    """Score folders of masks against references, and say what came out.

    Args:
        preds: folders, each as DIR or NAME=DIR.
        ref: folder of references.
        output: receives the report.
        say: prints a line.
        images: where the CTs are.
        subtypes: CSV, see :func:`amd_das.evaluation.attributes.read_table`.
        common: leave out cases that lack something.

    Raises:
        AmdDasError: see :func:`amd_das.evaluation.cases.pair_cases` and below.
    """
    table = _table(subtypes)
    named = named_folders(preds)
    cases = pair_cases(named, ref, images, common=common)
    with _bar("scoring") as progress:
        scores = score_cases(cases, table, progress)
    report = write_report(scores, cases, output, about={"predictions": sorted(named)})
    _tell(report, say)


def benchmark_in_terminal(
    names: Sequence[str],
    images: Path,
    ref: Path,
    output: Path,
    say: Say,
    *,
    model_dir: Path,
    subtypes: Path | None = None,
    common: bool = False,
    device: str | None = None,
) -> None:
    """Let models segment labelled scans, and report as above.

    Args:
        names: of models, see :func:`amd_das.evaluation.benchmark.load_models`.
        images: where the CTs are.
        ref: folder of references.
        output: receives the report, and the masks in ``predictions/``.
        say: prints a line.
        model_dir: where versions are looked for.
        subtypes: CSV, see :func:`amd_das.evaluation.attributes.read_table`.
        common: leave out cases that lack something.
        device: as PyTorch names it.
    """
    table = _table(subtypes)
    cases = image_cases(images, ref, common=common)
    loaded = load_models(names, model_dir)
    predictors = {version: Predictor(model, device=device) for version, model in loaded.items()}
    with _bar("segmenting") as progress:
        cases = segment_cases(cases, predictors, output / PREDICTIONS, progress)
    with _bar("scoring") as progress:
        scores = score_cases(cases, table, progress)
    checksums = {version: model.info.checksum for version, model in loaded.items()}
    report = write_report(scores, cases, output, title="Benchmark", about={"checksums": checksums})
    _tell(report, say)


def named_folders(preds: Sequence[str]) -> dict[str, Path]:
    """DIR or NAME=DIR → name → folder; a folder without a name is called as it is.

    Raises:
        ConfigError: two have one name.
    """
    found: dict[str, Path] = {}
    for given in preds:
        name, _, folder = given.rpartition("=")
        path = Path(folder)
        name = name or path.resolve().name
        if name in found:
            raise ConfigError(
                f"two predictions are called {name!r}; give them names: --pred a={found[name]} --pred b={path}"
            )
        found[name] = path
    return found


def _table(path: Path | None) -> dict[str, Attributes] | None:
    return read_table(path) if path is not None else None


def _tell(report: ReportFiles, say: Say) -> None:
    for model, summary in report.summaries.items():
        one = summary.overall
        say(f"{model}: {one.bleeds} scans with a bleed, {one.negatives} without")
        for measure in MEASURES:
            if measure.name in _SAID and (found := one.measures[measure.name]).n:
                say(f"  {measure.heading:34} {estimate_text(found, measure)}")
        say(f"  {'Bleeds found':34} {one.found} of {one.bleeds}")
        if summary.detection is not None:
            say(f"  {'Area under the ROC curve':34} {area_text(summary.detection)}")
    for problem in report.problems:
        say(f"note: {problem}")
    say(
        f"{report.page} shows more; cases.csv, slices.csv and report.json beside it hold the numbers. {RESEARCH_NOTICE}"
    )


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    with tqdm(file=sys.stderr, unit="scan", desc=what) as bar, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy")  # MONAI warns of a call of its own

        def show(done: int, total: int, case: str) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
