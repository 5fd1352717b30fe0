"""Small slice stores of discs: a brain, and in it a brighter lesion whose size is known."""

from pathlib import Path

import numpy as np

from amd_das.slices import CaseSlices, Domain, SliceStore, SliceWriter, lesion_pixels

SIZE = 240


def brains(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 240, 240) uint8 and lesions of the same shape, 0 or 1; each brain lies and looks differently."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    images, lesions = np.zeros((2, count, SIZE, SIZE), np.uint8)
    for image, lesion in zip(images, lesions, strict=True):
        centre, radii, tilt = rng.uniform(110, 130, 2), rng.uniform(50, 95, 2), rng.uniform(-0.4, 0.4)
        brain = np.hypot((y - centre[0]) / radii[0], (x - centre[1] + tilt * (y - centre[0])) / radii[1]) < 1
        image[brain] = rng.integers(40, 100, (SIZE, SIZE))[brain]
        spot = centre + rng.uniform(-20, 20, 2)
        lesion[np.hypot(y - spot[0], x - spot[1]) < rng.uniform(0, 15)] = 1
        image[lesion > 0] = 200
    return images, lesions


def write_store(
    directory: Path, domain: Domain, *, count: int, seed: int, labelled: bool, case: str = "case"
) -> SliceStore:
    """A store of one case with `count` slices, numbered from 10."""
    images, lesions = brains(count, seed)
    labels = lesions if labelled else None
    with SliceWriter(directory, domain, labelled=labelled) as writer:
        if count:
            record = CaseSlices(
                case=case,
                patient=case,
                spacing_mm=(5.0, 1.0, 1.0),
                spacing_known=True,
                numbers=tuple(range(10, 10 + count)),
                brain_px=tuple((images > 0).sum(axis=(1, 2)).tolist()),
                lesion_px=lesion_pixels(images, labels),
            )
            writer.append(record, images, labels)
    return SliceStore.open(directory)
