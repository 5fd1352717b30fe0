"""Labelled slices of noise, and stores of them."""

from pathlib import Path

import numpy as np

from amd_das.slices import CaseSlices, SliceWriter, lesion_pixels


def a_case(name: str, count: int = 2, seed: int = 0) -> tuple[CaseSlices, np.ndarray, np.ndarray]:
    """A case, its images and its labels."""
    rng = np.random.default_rng([seed, count])
    images = rng.integers(0, 256, (count, 240, 240), np.uint8)
    labels = (images > 200).astype(np.uint8)
    case = CaseSlices(
        case=name,
        patient=name,
        spacing_mm=(5.0, 0.5, 0.5),
        spacing_known=True,
        numbers=tuple(range(3, 3 + count)),
        brain_px=(240 * 240,) * count,
        lesion_px=lesion_pixels(images, labels),
        provenance={"file": f"{name}.nii.gz"},
    )
    return case, images, labels


def write(directory: Path, *names: str, **config: object) -> None:
    """Append cases of two slices to a labelled source store."""
    with SliceWriter(directory, "source", labelled=True, config=config) as writer:
        for name in names:
            writer.append(*a_case(name))
