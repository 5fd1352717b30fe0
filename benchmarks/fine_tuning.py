"""What correct labels of a few heads are worth: scores on other heads before and after fine-tuning.

    python benchmarks/fine_tuning.py [--labels 10] [--model-dir DIR] [--pseudo-ct RUN_DIR] [--steps N] [-o RESULTS.json]

The first heads of the phantom test set are labelled, the others are only scored: nobody learns from them, and they
choose nothing. The model folder stays as it is; a copy is fine-tuned by what `amd-das fine-tune` runs.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import phantom_test_set

from amd_das.evaluation.metrics import volume_scores
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.run import run
from amd_das.inference import Predictor
from amd_das.models import current_version, default_model_dir, load_version
from amd_das.reading import read_volume
from amd_das.reproduction.machine import machine


def main() -> None:
    """Label, fine-tune, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=10, help="heads with a label (%(default)s)")
    parser.add_argument("--model-dir", type=Path, default=default_model_dir())
    parser.add_argument("--pseudo-ct", type=Path, help="working folder of a pipeline")
    parser.add_argument("--steps", type=int, default=FineTuneConfig.steps)
    parser.add_argument("--data", type=Path, default=phantom_test_set.DATA)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    phantom_test_set.render(arguments.data)
    seeds = range(phantom_test_set.FIRST_SEED, phantom_test_set.FIRST_SEED + phantom_test_set.COUNT)
    with tempfile.TemporaryDirectory() as temporary:
        found = _measure(Path(temporary), seeds[: arguments.labels], seeds[arguments.labels :], arguments)
    print(json.dumps({key: value for key, value in found.items() if key != "cases"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


def _measure(folder: Path, labelled: range, scored: range, arguments: argparse.Namespace) -> dict[str, Any]:
    for seed in labelled:
        for kind, name in (("images", f"phantom-ct-{seed}"), ("masks", f"phantom-ct-{seed}-iph")):
            (folder / "labels" / kind).mkdir(parents=True, exist_ok=True)
            (folder / "labels" / kind / f"{name}.nii.gz").symlink_to(
                (arguments.data / kind / f"{name}.nii.gz").resolve()
            )
    (folder / "work").mkdir()
    if arguments.pseudo_ct:
        for path in arguments.pseudo_ct.glob("translation-*"):
            (folder / "work" / path.name).symlink_to(path.resolve())
    shutil.copytree(arguments.model_dir, folder / "model")
    champion = current_version(folder / "model")
    started = time.monotonic()
    config = FineTuneConfig(steps=arguments.steps)
    result = run(folder / "labels", folder / "work", folder / "model", config, progress=_tell)
    minutes = (time.monotonic() - started) / 60
    before = _scores(folder / "model", champion, scored, arguments.data)
    after = _scores(folder / "model", result.version or champion, scored, arguments.data)
    trained = result.steps["fine_tuning"].summary
    return {
        "machine": f"{machine()}, {trained['device']}",
        "labelled": len(labelled),
        "learnt_from": trained["data"],
        "steps": trained["steps"],
        "training_minutes": round(trained["seconds"] / 60, 1),
        "minutes_in_all": round(minutes, 1),
        "published": result.published,
        "reason": result.reason,
        "before": _summary(before),
        "after": _summary(after),
        "cases": {case: {"before": before[case], "after": after[case]} for case in before},
    }


def _tell(now: Any) -> None:
    if now.message:
        print(now.message, flush=True)


def _scores(model_dir: Path, version: str, seeds: range, data: Path) -> dict[str, dict[str, float]]:
    predictor, found = Predictor(load_version(model_dir, version)), {}
    for seed in seeds:
        volume = read_volume(data / "images" / f"phantom-ct-{seed}.nii.gz")
        label = np.asarray(nibabel.load(data / "masks" / f"phantom-ct-{seed}-iph.nii.gz").dataobj)
        scores = volume_scores(predictor.segment(volume).mask, label, volume.affine)
        found[str(seed)] = {"dice": scores.dice, "ml": scores.volume_ml_pred, "true_ml": scores.volume_ml_ref}
        print(f"{version} {seed} {scores.dice:6.3f} {scores.volume_ml_pred:7.2f} of {scores.volume_ml_ref:7.2f} mL")
    return found


def _summary(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    bleeds = [one for one in scores.values() if one["true_ml"]]
    clear = [one["ml"] for one in scores.values() if not one["true_ml"]]
    return {
        "bleeds": len(bleeds),
        "mean_dice": round(statistics.mean(one["dice"] for one in bleeds), 4),
        "median_dice": round(statistics.median(one["dice"] for one in bleeds), 4),
        "without": len(clear),
        "mean_false_ml": round(statistics.mean(clear), 3) if clear else 0.0,
    }


if __name__ == "__main__":
    main()
