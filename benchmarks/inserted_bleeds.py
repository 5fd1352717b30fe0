"""Score the model in use on real head CT without a labelled bleed: phantom bleeds are put into slices of your own.

    python benchmarks/inserted_bleeds.py --images DIR --masks DIR [--model-dir DIR] [-o RESULTS.json] [--picture PNG]

What is inserted is the difference, in HU, between a phantom head with a bleed and the same head without it, so the
scan keeps its own noise, skull and scanner; the outline is known. ``--masks`` holds, per scan, whatever blood the scan
has already, of any kind (empty where there is none): nothing is inserted there and nothing found there counts.
A bleed lies as deep in the brain as it did in the phantom, and pushes nothing aside; nothing else is asked of the
place, so some lie across the midline. Compare models by it; it is no score on patients' bleeds.

Per bleed: Dice in its slice. Per scan as it is: what is found away from its blood, and in it, which counts against the
model where none of that blood lies in the brain's tissue; in it, too, per inserted bleed beside it: there, what has
settled in a ventricle is left out.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_edt, shift

from amd_das.errors import AmdDasError
from amd_das.evaluation.cases import image_cases
from amd_das.evaluation.masks import read_masks
from amd_das.inference import Predictor, ProbabilityMap
from amd_das.models import load_current
from amd_das.output.drawing import REFERENCE_RGB, greys, paint
from amd_das.phantom.anatomy import draw_subject
from amd_das.phantom.lesions import draw_contusion, draw_hemorrhage, draw_texture
from amd_das.phantom.look import CtScene, draw_look
from amd_das.phantom.scanner import draw_scanner, scan
from amd_das.preprocessing import Preprocessed, preprocess
from amd_das.preprocessing.window import to_hu, to_window
from amd_das.reading import read_volume
from amd_das.reproduction.machine import machine
from amd_das.volume import Volume

LEAST_BRAIN_PX: Final = 6000
LEAST_BLEED_PX: Final = 40
PER_BLEED: Final = 2
"""Slices of one phantom bleed, at most."""

DEEPER_PX: Final = 3.0
CSF: Final = 0.15
"""Of the window: what is darker has no tissue to bleed into."""

CSF_PART: Final = 0.15
INSIDE: Final = 0.9
MISSED: Final = 0.1


class Bleed(NamedTuple):
    """One slice of a phantom bleed."""

    added: np.ndarray
    """(240, 240) float32, parts of the window."""

    mask: np.ndarray
    depth_px: float
    middle: np.ndarray


def bleeds(count: int, seed: int) -> list[Bleed]:
    """Slices of at least ``count`` bleeds in the tissue, every third a contusion or so."""
    made: list[Bleed] = []
    while len(made) < count:
        rng = np.random.default_rng([seed, 0xB1])
        seed += 1
        subject = draw_subject(rng)
        texture = draw_texture(rng, rng.uniform(6, 14), rng.uniform(2.5, 4.5))
        lesion = draw_contusion(rng, texture) if rng.random() < 0.35 else draw_hemorrhage(rng, texture)
        look = draw_look(rng)
        scanner = replace(draw_scanner(rng, matrix=256), distance_mm=8.0, subslices=2, metal=False)
        noise = int(rng.integers(2**31))
        with_it, without = (
            scan(CtScene(subject, shown, look), scanner, np.random.default_rng(noise), "bleed")
            for shown in ((replace(lesion, mass_effect=0.0),), ())
        )
        made += _slices(with_it.volume, without.volume.array, with_it.masks["iph"], rng)
    return made[:count]


def _slices(volume: Volume, without: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Iterator[Bleed]:
    try:
        prepared = preprocess(volume)
    except AmdDasError:  # a field of view that is cut off, as phantoms have now and then
        return
    first, second = (prepared.grid.forward(to_window(array)) for array in (volume.array, without))
    outlines = (prepared.grid.forward(mask) >= 0.5) & prepared.brain
    shown = np.flatnonzero(outlines.sum((1, 2)) >= LEAST_BLEED_PX)
    for number in rng.permutation(shown)[:PER_BLEED]:
        outline = outlines[number]
        middle = np.argwhere(outline).mean(0)
        depth = distance_transform_edt(prepared.brain[number])[outline].mean()
        yield Bleed((first - second)[number] * prepared.brain[number], outline, float(depth), middle)


class Inserted(NamedTuple):
    """What was put into a scan."""

    prepared: Preprocessed
    masks: dict[int, np.ndarray]
    """Slice → (240, 240) bool."""


def insert(prepared: Preprocessed, blood: np.ndarray, stock: list[Bleed], rng: np.random.Generator) -> Inserted:
    """One bleed in every slice that has room for one; ``blood`` (Z, 240, 240) bool stays free."""
    slices, masks = prepared.slices.copy(), dict[int, np.ndarray]()
    for number in np.flatnonzero(prepared.brain.sum((1, 2)) >= LEAST_BRAIN_PX).tolist():
        image, brain = prepared.slices[number], prepared.brain[number]
        depth = distance_transform_edt(brain)
        for _ in range(30):
            bleed = stock[rng.integers(len(stock))]
            fits = np.argwhere((np.abs(depth - bleed.depth_px) < DEEPER_PX) & (image > CSF))
            if not len(fits):
                continue
            move = np.rint(fits[rng.integers(len(fits))] - bleed.middle)
            mask = shift(bleed.mask.astype(np.float32), move, order=0) > 0.5
            inside = mask & brain
            outside = inside.sum() < INSIDE * bleed.mask.sum()
            if outside or (image[inside] < CSF).mean() > CSF_PART or (mask & blood[number]).any():
                continue
            added = shift(bleed.added, move, order=1)
            slices[number] = np.where(brain, np.clip(image + added, 0, 1), 0)
            masks[number] = inside
            break
    return Inserted(replace(prepared, slices=slices), masks)


def score(predictor: Predictor, images: Path, masks: Path, *, rounds: int, count: int, seed: int) -> dict[str, Any]:
    """Insert and segment; the summary, with each bleed under "bleeds" and pictures under "pictures"."""
    stock, rng = bleeds(count, seed), np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    pictures: list[np.ndarray] = []
    scans, elsewhere, taken, beside = 0, 0.0, 0.0, 0.0
    for case in image_cases(images, masks):
        assert case.image is not None
        volume = read_volume(case.image.path)
        try:
            prepared = preprocess(volume)
        except AmdDasError as error:
            print(f"{case.case}: left out, {error}")
            continue
        scans += 1
        blood = prepared.grid.forward(read_masks(case.ref, {})[0].array) > 0.3
        blood = np.stack([binary_dilation(one, iterations=4) for one in blood])
        plain = _found(predictor, prepared)
        elsewhere += float((plain & ~blood).sum())
        taken += float((plain & blood).sum())
        for _ in range(rounds):
            inserted = insert(prepared, blood, stock, rng)
            found = _found(predictor, inserted.prepared)
            for number, mask in inserted.masks.items():
                pred = found[number] & ~blood[number]
                beside += float((found[number] & blood[number] & ~mask).sum())
                dice = 2 * float((pred & mask).sum()) / float(pred.sum() + mask.sum())
                rows.append({"case": case.case, "slice": number, "px": int(mask.sum()), "dice": round(dice, 3)})
                pictures.append(_drawn(inserted.prepared.slices[number], mask, pred))
    if not rows:
        raise SystemExit(
            f"no bleed fits into the scans of {images}; expected head CT with {LEAST_BRAIN_PX} mm2 of brain in a slice"
        )
    dices = [row["dice"] for row in rows]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "model": predictor.info.version,
        "scans": scans,
        "inserted": len(rows),
        "mean_dice": round(statistics.mean(dices), 4),
        "median_dice": round(statistics.median(dices), 4),
        "missed": sum(dice < MISSED for dice in dices),
        "found_elsewhere_mm2_per_scan": round(elsewhere / scans, 1),
        "found_in_its_blood_mm2_per_scan": round(taken / scans, 1),
        "found_in_its_blood_beside_a_bleed_mm2": round(beside / len(rows), 1),
        "bleeds": rows,
        "pictures": pictures,
    }


def _found(predictor: Predictor, prepared: Preprocessed) -> np.ndarray:
    """(Z, 240, 240) bool, what would be outlined, but for what is too small."""
    seen = ProbabilityMap(prepared=prepared, slices=predictor.probabilities(prepared), warnings=())
    return seen.believed(predictor.config) >= predictor.config.threshold


def _drawn(image: np.ndarray, mask: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """(120, 240, 3) uint8: the slice alone, and with outlines of the bleed and of what was found."""
    grey = np.repeat(greys(to_hu(image))[..., None], 3, axis=2)
    outlined = grey.copy()
    paint(outlined, mask, colour=REFERENCE_RGB)
    paint(outlined, pred)
    return np.asarray(Image.fromarray(np.hstack([grey, outlined])).resize((240, 120)))


def main() -> None:
    """Insert, segment, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="head CT, or slices of one")
    parser.add_argument("--masks", type=Path, required=True, help="what bleeds already, a mask a scan")
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=4, help="times each slice receives another bleed")
    parser.add_argument("--count", type=int, default=120, help="slices of phantom bleeds to draw from")
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--picture", type=Path, help="a sheet of the worst, middle and best")
    arguments = parser.parse_args()
    found = score(
        Predictor(load_current(arguments.model_dir)),
        arguments.images,
        arguments.masks,
        rounds=arguments.rounds,
        count=arguments.count,
        seed=arguments.seed,
    )
    pictures = found.pop("pictures")
    print(json.dumps({key: value for key, value in found.items() if key != "bleeds"}, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")
    if arguments.picture:
        order = np.argsort([row["dice"] for row in found["bleeds"]], kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, min(24, len(order))).round().astype(int)]
        tiles = [pictures[number] for number in chosen]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 4)
        sheet = np.vstack([np.hstack(tiles[start : start + 4]) for start in range(0, len(tiles), 4)])
        Image.fromarray(sheet).save(arguments.picture)


if __name__ == "__main__":
    main()
