"""Score the model in use on the phantom test set: 20 heads it was not trained on (seeds 1000-1019).

    python benchmarks/phantom_test_set.py [--model-dir DIR] [--data DIR] [-o RESULTS.json]

Per volume: Dice (cases with hemorrhage), absolute volume error in mL, and the mL found on cases without. The heads are
rendered once into ``--data`` and kept.
"""

import argparse
import json
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.metrics import DiceMetric

from amd_das.inference import Predictor
from amd_das.models import LoadedModel, load_current
from amd_das.phantom.files import write_cases
from amd_das.reading import read_volume

FIRST_SEED, COUNT = 1000, 20
DATA = Path("runs/phantom-test-set")


def dice(pred: np.ndarray, label: np.ndarray) -> float:
    """Dice of two binary masks by MONAI; NaN where the label is empty."""
    metric = DiceMetric(include_background=True, ignore_empty=True)
    return float(metric(torch.from_numpy(pred)[None, None].float(), torch.from_numpy(label)[None, None].float()))


def render(data: Path) -> None:
    """Make the heads that are missing."""
    write_cases(count=COUNT, kind="ct", format="nifti", seed=FIRST_SEED, directory=data, resume=True)


def score(model: LoadedModel, data: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Segment and compare; the summary, with each case under "cases"."""
    predictor = Predictor(model)
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + COUNT):
        name = f"phantom-ct-{seed}"
        volume = read_volume(data / "images" / f"{name}.nii.gz")
        label = np.asarray(nibabel.load(data / "masks" / f"{name}-iph.nii.gz").dataobj)
        result = predictor.segment(volume)
        record = json.loads((data / "records" / f"{name}.json").read_text())
        row = {
            "case": name,
            "true_ml": round(float(label.sum()) * volume.voxel_ml, 3),
            "pred_ml": round(result.measurement.volume_ml, 3),
            "dice": round(dice(result.mask, label), 3) if label.any() else None,
            "lesions": [f"{lesion['kind']} {lesion['site']}".strip() for lesion in record["lesions"]],
        }
        rows.append(row)
        if not quiet:
            shown = f"{row['dice']:6.3f}" if row["dice"] is not None else "     -"
            kinds = ", ".join(row["lesions"])
            print(f"{name:16} {row['true_ml']:8.2f} {row['pred_ml']:8.2f} {shown}  {kinds}", flush=True)
    positives = [row for row in rows if row["dice"] is not None]
    negatives = [row for row in rows if row["dice"] is None]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}",
        "model": model.info.version,
        "positives": len(positives),
        "mean_dice": round(statistics.mean(row["dice"] for row in positives), 4),
        "median_dice": round(statistics.median(row["dice"] for row in positives), 4),
        "median_volume_error_ml": round(statistics.median(abs(r["pred_ml"] - r["true_ml"]) for r in positives), 3),
        "negatives": len(negatives),
        "largest_false_ml_on_negatives": round(max((row["pred_ml"] for row in negatives), default=0.0), 3),
        "cases": rows,
    }


def main() -> None:
    """Render what is missing, segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    render(arguments.data)
    print(f"{'case':16} {'true mL':>8} {'pred mL':>8} {'Dice':>6}  lesions")
    found = score(load_current(arguments.model_dir), arguments.data)
    print(json.dumps({key: value for key, value in found.items() if key != "cases"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
