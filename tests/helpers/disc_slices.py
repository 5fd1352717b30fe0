"""Stores of easy slices: an elliptic brain, in some slices with a bright disc, which is the label."""

from pathlib import Path

import numpy as np

from amd_das.slices import CaseSlices, Domain, SliceStore, SliceWriter, lesion_pixels


def disc_slices(
    count: int, seed: int = 0, *, lesions: float = 0.5, noise: float = 6.0, contrast: int = 90
) -> tuple[np.ndarray, np.ndarray]:
    """(count, 240, 240) uint8 images, tissue at about 80, and labels; the first ``lesions`` part shows a disc."""
    rng = np.random.default_rng([seed, count])
    rows, columns = np.ogrid[:240, :240]
    brain = (rows - 120) ** 2 / 85**2 + (columns - 120) ** 2 / 65**2 < 1
    images, labels = np.zeros((2, count, 240, 240), np.uint8)
    for number in range(count):
        row, column, radius = rng.integers((80, 85, 10), (160, 155, 22))
        disc = ((rows - row) ** 2 + (columns - column) ** 2 < radius**2) & (number < lesions * count)
        grey = 80 + contrast * disc + noise * rng.standard_normal((240, 240))
        images[number] = np.where(brain, grey.clip(1, 255), 0)
        labels[number] = disc
    return images, labels


def disc_store(
    directory: Path, domain: Domain, *, patients: int = 2, cases: int = 1, slices: int = 4, seed: int = 0, **look: float
) -> SliceStore:
    """A store of ``patients`` with ``cases`` each of ``slices`` slices; the target has no labels."""
    labelled = domain != "target"
    with SliceWriter(directory, domain, labelled=labelled) as writer:
        for patient in range(patients):
            for number in range(cases):
                images, labels = disc_slices(slices, seed * 1000 + patient * 10 + number, **look)  # type: ignore[arg-type]
                case = CaseSlices(
                    case=f"{patient}-{number}",
                    patient=f"p{patient}",
                    spacing_mm=(5.0, 1.0, 1.0),
                    spacing_known=True,
                    numbers=tuple(range(slices)),
                    brain_px=tuple(np.count_nonzero(images, axis=(1, 2)).tolist()),
                    lesion_px=lesion_pixels(images, labels if labelled else None),
                )
                writer.append(case, images, labels if labelled else None)
    return SliceStore.open(directory)
