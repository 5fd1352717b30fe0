"""Score the model in use on the phantom test set: 20 heads it was not trained on (seeds 1000-1019).

    python benchmarks/phantom_test_set.py [--model-dir DIR] [--data DIR] [-o RESULTS.json] [--report DIR]
    python benchmarks/phantom_test_set.py --seed 3000 --count 40 --data runs/more-heads     # other heads

Per volume: Dice (cases with hemorrhage), absolute volume error in mL, and the mL found on cases without, as
`amd-das benchmark` has them; with ``--report`` its whole report. The heads are rendered once into ``--data`` and kept.
"""

import argparse
import json
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amd_das.evaluation.attributes import Attributes
from amd_das.evaluation.benchmark import PREDICTIONS, segment_cases
from amd_das.evaluation.cases import image_cases
from amd_das.evaluation.report import write_report
from amd_das.evaluation.scoring import CaseScores, score_cases
from amd_das.inference import Predictor
from amd_das.models import LoadedModel, load_current
from amd_das.phantom.files import write_cases
from amd_das.reproduction.machine import machine

FIRST_SEED, COUNT = 1000, 20
DATA = Path("runs/phantom-test-set")


def render(data: Path, *, seed: int = FIRST_SEED, count: int = COUNT) -> None:
    """Make the heads that are missing."""
    write_cases(count=count, kind="ct", format="nifti", seed=seed, directory=data, resume=True)


def score(model: LoadedModel, data: Path, *, quiet: bool = False, report: Path | None = None) -> dict[str, Any]:
    """Segment and compare; the summary, with each case under "cases"."""
    cases = image_cases(data / "images", data / "masks")
    records = {case.case: json.loads((data / "records" / f"{case.case}.json").read_text()) for case in cases}
    kinds = {case: frozenset(lesion["kind"] for lesion in record["lesions"]) for case, record in records.items()}

    def tell(done: int, total: int, case: str) -> None:
        if not quiet:
            print(f"{done:2} of {total}: {case}", flush=True)

    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) if report is None else report / PREDICTIONS
        cases = segment_cases(cases, {model.info.version: Predictor(model)}, folder, tell)
        scores = score_cases(cases, {case: Attributes(subtypes=shown) for case, shown in kinds.items()})
        if report is not None:
            write_report(scores, cases, report, title="Phantom test set", about={"data": "phantom"})
    rows = [_row(one, records[one.case]) for one in scores[model.info.version]]
    positives = [row for row in rows if row["dice"] is not None]
    negatives = [row for row in rows if row["dice"] is None]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "model": model.info.version,
        "positives": len(positives),
        "mean_dice": round(statistics.mean(row["dice"] for row in positives), 4),
        "median_dice": round(statistics.median(row["dice"] for row in positives), 4),
        "median_volume_error_ml": round(statistics.median(abs(r["pred_ml"] - r["true_ml"]) for r in positives), 3),
        "negatives": len(negatives),
        "largest_false_ml_on_negatives": round(max((row["pred_ml"] for row in negatives), default=0.0), 3),
        "cases": rows,
    }


def _row(one: CaseScores, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "case": one.case,
        "true_ml": round(one.volume.volume_ml_ref, 3),
        "pred_ml": round(one.volume.volume_ml_pred, 3),
        "dice": round(one.volume.dice, 3) if one.bleeds else None,
        "lesions": [f"{lesion['kind']} {lesion['site']}".strip() for lesion in record["lesions"]],
    }


def main() -> None:
    """Render what is missing, segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first head")
    parser.add_argument("--count", type=int, default=COUNT, help="heads")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    render(arguments.data, seed=arguments.seed, count=arguments.count)
    found = score(load_current(arguments.model_dir), arguments.data, report=arguments.report)
    print(f"{'case':16} {'true mL':>8} {'pred mL':>8} {'Dice':>6}  lesions")
    for row in found["cases"]:
        shown = f"{row['dice']:6.3f}" if row["dice"] is not None else "     -"
        print(f"{row['case']:16} {row['true_ml']:8.2f} {row['pred_ml']:8.2f} {shown}  {', '.join(row['lesions'])}")
    print(json.dumps({key: value for key, value in found.items() if key != "cases"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
