"""How right the labels are that self-training learns from: slice by slice, or by whole spots.

    python benchmarks/pseudo_labels.py [--data DIR…] [--training COUNT] [--model-dir DIR] [-o RESULTS.json]

Each DIR holds phantom heads with masks of each kind, as `phantom_test_set.py --data` leaves them; COUNT more are
rendered as trainings have them, of fewer slices, where a spot has fewer to be doubted in. The model in use predicts
them, mirrored too, as self-training does (but not 2 HU apart); each rule then says which slices are learnt from, and
as what.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from amd_das.components import Components
from amd_das.evaluation.cases import image_cases
from amd_das.inference import Predictor, ProbabilityMap
from amd_das.models import load_current
from amd_das.phantom.files import write_cases
from amd_das.reading import read_volume
from amd_das.reproduction.machine import machine
from amd_das.segmentation.trust import SliceTrust, SpotTrust, Trust

SHOWN_PX: Final = 40
"""A slice shows a lesion, or blood in a ventricle, from here on."""

TAKEN, MISSED = 0.3, 0.7
"""Parts of them: more of the ventricular blood labelled lesion, or of the lesion labelled none, is a wrong slice."""

RULES: Final[dict[str, Trust]] = {
    "slice by slice": SliceTrust(),
    "by whole spots": SpotTrust(lesion_px=1),
    "by whole spots, none small": SpotTrust(),
}
SMALL_PX: Final = SpotTrust().lesion_px
FALSE: Final = 0.3
"""A labelled spot of which less is lesion is false."""

FIRST_SEED: Final = 9000
"""Of heads as trainings have them; no preset trains on these."""


class Head(NamedTuple):
    """A head's slices with brain, (n, 240, 240) each."""

    probability: np.ndarray
    lesion: np.ndarray
    ventricular: np.ndarray
    other: np.ndarray
    """Blood of any kind outside the tissue, ventricular blood too."""


def heads(folders: list[Path], predictor: Predictor) -> Iterator[Head]:
    """Every head, predicted."""
    for folder in folders:
        cases = image_cases(folder / "images", folder / "masks")
        for number, case in enumerate(cases, start=1):
            assert case.image is not None
            found = predictor.probability_map(read_volume(case.image.path))
            masks = sorted((folder / "masks").glob(f"{case.case}-*.nii.gz"))
            yield _head(found, {path.name[len(case.case) + 1 : -len(".nii.gz")]: path for path in masks})
            print(f"{folder}: {number} of {len(cases)}", flush=True)


def _head(found: ProbabilityMap, masks: dict[str, Path]) -> Head:
    """With its masks, by kind."""
    forward = found.prepared.grid.forward
    blood = {kind: forward((read_volume(path).array > 0).astype(np.float32)) >= 0.5 for kind, path in masks.items()}
    lesion = blood.pop("iph")
    none = np.zeros_like(lesion)
    other = np.logical_or.reduce([none, *blood.values()]) & ~lesion
    shown = found.prepared.with_brain
    return Head(*(array[shown] for array in (found.slices, lesion, blood.get("ivh", none) & ~lesion, other)))


def count(head: Head, rule: Trust) -> dict[str, int]:
    """What the rule makes of a head."""
    label, kept = rule.believed(head.probability, np.arange(len(head.probability)))
    label, lesion, ventricular, other = (array[kept] for array in (label, head.lesion, head.ventricular, head.other))
    bleeds, filled = lesion.sum((1, 2)), ventricular.sum((1, 2))
    lost, taken = (lesion & ~label).sum((1, 2)), (ventricular & label).sum((1, 2))
    spots = Components.of(label)
    small = spots.widest(label) < SMALL_PX
    false = spots.means(lesion.astype(np.float32)) < FALSE
    found = {
        "spots_small": small[1:].sum(),
        "spots_small_false": (small & false)[1:].sum(),
        "spots_large": (~small)[1:].sum(),
        "spots_large_false": (~small & false)[1:].sum(),
        "slices": len(kept),
        "slices_learnt": kept.sum(),
        "px_labelled": label.sum(),
        "px_labelled_lesion": (label & lesion).sum(),
        "px_labelled_other_blood": (label & other).sum(),
        "px_lesion": bleeds.sum(),
        "px_lesion_labelled_none": lost.sum(),
        "slices_with_lesion": (head.lesion.sum((1, 2)) >= SHOWN_PX).sum(),
        "slices_with_lesion_learnt": (bleeds >= SHOWN_PX).sum(),
        "slices_with_lesion_wrong": ((bleeds >= SHOWN_PX) & (lost > MISSED * bleeds)).sum(),
        "slices_with_ivh": (head.ventricular.sum((1, 2)) >= SHOWN_PX).sum(),
        "slices_with_ivh_learnt": (filled >= SHOWN_PX).sum(),
        "slices_with_ivh_wrong": ((filled >= SHOWN_PX) & (taken > TAKEN * filled)).sum(),
    }
    return {name: int(value) for name, value in found.items()}


def main() -> None:
    """Predict, label by each rule, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", default=[], metavar="DIR")
    parser.add_argument("--training", type=int, default=0, metavar="COUNT", help="heads as trainings have them")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if not arguments.data and not arguments.training:
        parser.error("no heads: give --data or --training")
    model = load_current(arguments.model_dir)
    totals: dict[str, Counter[str]] = {name: Counter() for name in RULES}
    with tempfile.TemporaryDirectory() as folder:
        data = list(arguments.data)
        if arguments.training:
            data.append(Path(folder))
            write_cases(
                count=arguments.training,
                kind="ct",
                format="nifti",
                seed=FIRST_SEED,
                directory=data[-1],
                for_training=True,
            )
        for head in heads(data, Predictor(model)):
            for name, rule in RULES.items():
                totals[name].update(count(head, rule))
    found: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "model": model.info.version,
        "rules": totals,
    }
    print(json.dumps(found, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
