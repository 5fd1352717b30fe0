"""How many clicks a mask needs to be right, by simulated users on the phantom test set (`phantom_test_set.py`).

    python benchmarks/clicks.py [--model-dir DIR] [--data DIR] [--clicks 10] [--cases N] [-o RESULTS.json]

A user clicks in the middle of the largest connected error, the point farthest from its edge: foreground where blood is
missing, background where there is none (the usual rule: Xu et al., Deep interactive object selection, CVPR 2016).
Every method starts from the automatic result and from nothing: ours (`amd_das.interaction`), and plain region growing,
SimpleITK's ConnectedThreshold, which adds what it grows from a foreground click and takes away what it grows from a
background click, within our radius as well (ConfidenceConnected fills the head from almost any click). Cases without
hemorrhage start from the automatic result alone, and are counted by the mL that are left. Times are CPU seconds, which
a busy machine does not lengthen.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import phantom_test_set
import SimpleITK as sitk
from scipy import ndimage

from amd_das.components import Components
from amd_das.inference import InferenceConfig, Predictor
from amd_das.interaction import Corrector, InteractionConfig, from_clicks, gather
from amd_das.models import load_current
from amd_das.reading import read_volume
from amd_das.reproduction.machine import machine
from amd_das.volume import Volume

TARGET, AFTER = 0.9, (1, 3, 5, 10)
TOLERANCE_HU = 12.0
"""Region growing takes what differs from the click by no more, HU."""

Click = tuple[bool, tuple[int, int, int]]
Method = Callable[[list[Click]], np.ndarray]
"""All clicks so far to (I, J, K) bool."""


def dice(pred: np.ndarray, label: np.ndarray) -> float:
    """Of two bool masks, of which one is not empty."""
    return float(2 * (pred & label).sum() / (pred.sum() + label.sum()))


def next_click(pred: np.ndarray, label: np.ndarray, spacing: np.ndarray) -> Click | None:
    """The middle of the largest error; None where there is none."""
    largest, found = 0, None
    for is_missing, error in ((True, label & ~pred), (False, pred & ~label)):
        pieces = Components.of(error)
        sizes = pieces.sizes()
        if sizes.max() > largest:
            largest = int(sizes.max())
            found = is_missing, pieces.labels == sizes.argmax(), [part.start for part in pieces.box]
    if found is None:
        return None
    is_missing, piece, corner = found
    depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    i, j, k = (int(n + c) for n, c in zip(np.unravel_index(depth.argmax(), depth.shape), corner, strict=True))
    return is_missing, (i, j, k)


def ours(corrector: Corrector, shape: tuple[int, int, int]) -> Method:
    """Correction as the server does it."""

    def correct(clicks: list[Click]) -> np.ndarray:
        marks = from_clicks([at for fore, at in clicks if fore], [at for fore, at in clicks if not fore], shape)
        return corrector.correct(marks) != 0

    return correct


def region_growing(volume: Volume, start: np.ndarray) -> Method:
    """SimpleITK's ConnectedThreshold on the slices smoothed by a 3 x 3 median."""
    smooth = ndimage.median_filter(volume.array, (3, 3, 1))
    image = sitk.GetImageFromArray(smooth.transpose())
    grown: dict[tuple[int, int, int], np.ndarray] = {}

    def grow(at: tuple[int, int, int]) -> np.ndarray:
        if at not in grown:
            hu = float(smooth[at])
            found = sitk.ConnectedThreshold(image, [at], lower=hu - TOLERANCE_HU, upper=hu + TOLERANCE_HU)
            mask = sitk.GetArrayFromImage(found).transpose() != 0
            voxels = np.argwhere(mask)
            apart = np.linalg.norm((voxels - np.array(at)) @ volume.affine[:3, :3].T, axis=1)
            mask[tuple(voxels[apart > InteractionConfig().radius_mm].T)] = False
            grown[at] = mask
        return grown[at]

    def correct(clicks: list[Click]) -> np.ndarray:
        mask = start != 0
        for is_missing, at in clicks:
            mask = mask | grow(at) if is_missing else mask & ~grow(at)
        return mask

    return correct


def simulate(method: Method, start: np.ndarray, label: np.ndarray, spacing: np.ndarray, clicks: int) -> dict[str, Any]:
    """Let a user click; Dice (or for an empty label false mL) before and after each click, and CPU seconds of each."""
    pred, made, seconds = start != 0, [], []
    score = (lambda mask: dice(mask, label)) if label.any() else (lambda mask: float(mask.sum()))
    scores = [score(pred)]
    for _ in range(clicks):
        click = next_click(pred, label, spacing)
        if click is not None and click not in made:
            made.append(click)
            began = time.process_time()
            pred = method(made)
            seconds.append(time.process_time() - began)
        scores.append(score(pred))
    return {"scores": scores, "seconds": seconds}


def summary(runs: list[dict[str, Any]], clicks: int) -> dict[str, Any]:
    """Of all cases with hemorrhage by one method from one start."""
    needed = [next((n for n, dice in enumerate(run["scores"]) if dice >= TARGET), None) for run in runs]
    seconds = [second for run in runs for second in run["seconds"]]
    return {
        "cases": len(runs),
        f"clicks_to_{TARGET}": round(statistics.mean(clicks if n is None else n for n in needed), 2),
        f"never_{TARGET}_in_{clicks}": needed.count(None),
        "dice_at_start": round(statistics.mean(run["scores"][0] for run in runs), 4),
        **{
            f"dice_after_{n}": round(statistics.mean(run["scores"][n] for run in runs), 4) for n in AFTER if n <= clicks
        },
        "cpu_seconds_per_click": {
            "median": round(statistics.median(seconds), 3),
            "largest": round(max(seconds), 3),
        },
    }


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, default=phantom_test_set.DATA)
    parser.add_argument("--clicks", type=int, default=max(AFTER))
    parser.add_argument("--cases", type=int, help="the first so many only")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.data == phantom_test_set.DATA:
        phantom_test_set.render(arguments.data)
    predictor = Predictor(load_current(arguments.model_dir))
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    negatives: list[dict[str, Any]] = []
    first: list[float] = []
    for path in sorted((arguments.data / "images").glob("*.nii.gz"))[: arguments.cases]:
        case = path.name.removesuffix(".nii.gz")
        volume = read_volume(path)
        label = np.asarray(nibabel.load(arguments.data / "masks" / f"{case}-iph.nii.gz").dataobj) != 0
        began = time.process_time()
        evidence = gather(volume, predictor)
        automatic = evidence.found.outline(InferenceConfig()).mask
        first.append(time.process_time() - began)
        if not label.any():
            if automatic.any():
                run = simulate(ours(Corrector(evidence, automatic), volume.shape), automatic, label, volume.spacing, 3)
                left = [round(voxels * volume.voxel_ml, 3) for voxels in run["scores"]]
                negatives.append({"case": case, "false_ml_after_0_to_3": left})
                print(f"{case:18} no hemorrhage, false mL after 0 to 3 clicks: {left}", flush=True)
            continue
        for start_name, start in (("automatic", automatic), ("nothing", np.zeros_like(automatic))):
            methods = {
                "amd_das": ours(Corrector(evidence, start), volume.shape),
                "region_growing": region_growing(volume, start),
            }
            for name, method in methods.items():
                run = simulate(method, start, label, volume.spacing, arguments.clicks)
                runs.setdefault(start_name, {}).setdefault(name, []).append({"case": case, **run})
                shown = " ".join(f"{score:.3f}" for score in run["scores"])
                print(f"{case:18} {start_name:10} {name:22} {shown}", flush=True)
    results = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{machine()}, one thread",
        "command": " ".join(["python", *sys.argv]),
        "model": predictor.info.version,
        "cpu_seconds_before_the_first_click": round(statistics.median(first), 2),
        "results": {
            start: {name: summary(found, arguments.clicks) for name, found in methods.items()}
            for start, methods in runs.items()
        },
        "without_hemorrhage": negatives,
        "cases": {
            start: {
                name: {run["case"]: [round(score, 3) for score in run["scores"]] for run in found}
                for name, found in methods.items()
            }
            for start, methods in runs.items()
        },
    }
    print(json.dumps({key: value for key, value in results.items() if key != "cases"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
