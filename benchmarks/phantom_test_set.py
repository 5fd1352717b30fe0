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

import nibabel
import numpy as np
import torch
from monai.metrics import DiceMetric

from amd_das.inference import Predictor
from amd_das.models import load_current
from amd_das.phantom.files import write_cases
from amd_das.reading import read_volume

FIRST_SEED, COUNT = 1000, 20


def dice(pred: np.ndarray, label: np.ndarray) -> float:
    """Dice of two binary masks by MONAI; NaN where the label is empty."""
    metric = DiceMetric(include_background=True, ignore_empty=True)
    return float(metric(torch.from_numpy(pred)[None, None].float(), torch.from_numpy(label)[None, None].float()))


def main() -> None:
    """Render what is missing, segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, default=Path("runs/phantom-test-set"))
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    for seed in range(FIRST_SEED, FIRST_SEED + COUNT):
        if not (arguments.data / "records" / f"phantom-ct-{seed}.json").exists():
            write_cases(count=1, kind="ct", format="nifti", seed=seed, directory=arguments.data)
    model = load_current(arguments.model_dir)
    predictor = Predictor(model)
    rows = []
    print(f"{'case':16} {'true mL':>8} {'pred mL':>8} {'Dice':>6}  lesions")
    for seed in range(FIRST_SEED, FIRST_SEED + COUNT):
        name = f"phantom-ct-{seed}"
        volume = read_volume(arguments.data / "images" / f"{name}.nii.gz")
        label = np.asarray(nibabel.load(arguments.data / "masks" / f"{name}-iph.nii.gz").dataobj)
        result = predictor.segment(volume)
        record = json.loads((arguments.data / "records" / f"{name}.json").read_text())
        row = {
            "case": name,
            "true_ml": float(label.sum()) * volume.voxel_ml,
            "pred_ml": result.measurement.volume_ml,
            "dice": dice(result.mask, label) if label.any() else None,
            "lesions": [f"{lesion['kind']} {lesion['site']}".strip() for lesion in record["lesions"]],
        }
        rows.append(row)
        shown = f"{row['dice']:6.3f}" if row["dice"] is not None else "     -"
        print(f"{name:16} {row['true_ml']:8.2f} {row['pred_ml']:8.2f} {shown}  {', '.join(row['lesions'])}", flush=True)
    positives = [row for row in rows if row["dice"] is not None]
    negatives = [row for row in rows if row["dice"] is None]
    summary = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}",
        "model": model.info.version,
        "positives": len(positives),
        "mean_dice": round(statistics.mean(row["dice"] for row in positives), 4),
        "median_dice": round(statistics.median(row["dice"] for row in positives), 4),
        "median_volume_error_ml": round(statistics.median(abs(r["pred_ml"] - r["true_ml"]) for r in positives), 3),
        "negatives": len(negatives),
        "largest_false_ml_on_negatives": round(max((row["pred_ml"] for row in negatives), default=0.0), 3),
    }
    print(json.dumps(summary, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps({**summary, "cases": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
