"""Whether the model is unsure where it is wrong, on the phantom test set (`phantom_test_set.py`).

    python benchmarks/uncertainty.py [--model-dir DIR] [--data DIR] [--cases N] [-o RESULTS.json]

The error of a scan is 1 - Dice against the true mask; of a scan without hemorrhage it is 0, or 1 where something was
outlined. Reported are Spearman's rank correlations of that error with slice entropy, with inconsistency (1 - Dice of
the two mirrored views) and with the two as one number, and the mean error of the third of scans that `uncertain` hands
out first, beside that of all scans, which is what `random` hands out.
"""

import argparse
import json
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path

import nibabel
import numpy as np
import phantom_test_set
from scipy.stats import spearmanr

from amd_das.active_learning import form_opinion
from amd_das.evaluation.metrics import volume_scores
from amd_das.inference import Predictor
from amd_das.models import load_current
from amd_das.reading import read_volume
from amd_das.reproduction.machine import machine


def main() -> None:
    """Score, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, default=phantom_test_set.DATA)
    parser.add_argument("--cases", type=int, help="the first so many only")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.data == phantom_test_set.DATA:
        phantom_test_set.render(arguments.data)
    predictor = Predictor(load_current(arguments.model_dir))
    rows = []
    for path in sorted((arguments.data / "images").glob("*.nii.gz"))[: arguments.cases]:
        case = path.name.removesuffix(".nii.gz")
        volume = read_volume(path)
        label = np.asarray(nibabel.load(arguments.data / "masks" / f"{case}-iph.nii.gz").dataobj)
        opinion = form_opinion(volume, predictor)
        dice = volume_scores(opinion.mask, label, volume.affine).dice
        rows.append(
            {
                "case": case,
                "error": round(1 - dice, 4) if np.isfinite(dice) else 0.0,
                "entropy": round(opinion.entropy, 4),
                "inconsistency": round(1 - opinion.flip_consistency, 4),
                "uncertainty": round(opinion.uncertainty, 4),
            }
        )
        print(rows[-1], flush=True)
    errors = [row["error"] for row in rows]
    first = sorted(rows, key=lambda row: -row["uncertainty"])[: max(1, len(rows) // 3)]
    results = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "command": " ".join(["python", *sys.argv]),
        "model": predictor.info.version,
        "scans": len(rows),
        "rank_correlation_with_error": {
            name: round(float(spearmanr([row[name] for row in rows], errors).statistic), 3)
            for name in ("entropy", "inconsistency", "uncertainty")
        },
        "mean_error_of_the_third_handed_out_first": round(statistics.mean(row["error"] for row in first), 4),
        "mean_error_of_all": round(statistics.mean(errors), 4),
        "cases": rows,
    }
    print(json.dumps({key: value for key, value in results.items() if key != "cases"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
