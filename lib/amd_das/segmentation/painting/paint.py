"""Painting slices: first their lesions change, then what is no lesion is laid over them."""

from dataclasses import asdict

import numpy as np

from amd_das.segmentation.painting.canvas import GREY_PER_HU, Canvas, brain_of, frame_of, put_back, to_grey
from amd_das.segmentation.painting.config import UNPAINTED, PaintConfig
from amd_das.segmentation.painting.confounders import CONFOUNDERS
from amd_das.segmentation.painting.lesions import change_lesion
from amd_das.segmentation.painting.ventricles import widen


def paint(
    images: np.ndarray, labels: np.ndarray, config: PaintConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint into slices; what is painted is no lesion.

    Args:
        images: (N, H, W) uint8 of a slice store: 0-100 HU on 0-255, 0 outside the brain; rows run front to back.
        labels: (N, H, W) uint8, 0 or 1.
        config: how often what.
        rng: all that is drawn comes from it.

    Returns:
        New arrays of the same shapes and dtypes; what was outside the brain stays 0, what it encloses is at least 1.
    """
    if config == UNPAINTED:
        return images, labels
    frame = frame_of(images)
    shown = images[frame]
    lenders = np.roll(shown, 1, axis=0)
    painted = [
        _paint_one(image, mask, lender, config, rng)
        for image, mask, lender in zip(shown, labels[frame], lenders, strict=True)
    ]
    changed, lesions = zip(*painted, strict=True)
    return put_back(images, frame, changed), put_back(labels, frame, lesions)


def _paint_one(
    image: np.ndarray, mask: np.ndarray, lender: np.ndarray, config: PaintConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    chances = asdict(config)
    wide = chances.pop("hydrocephalus")
    drawn = {name: rng.random() < chance for name, chance in chances.items()}
    brain = brain_of(image)
    if brain is None:
        return image, mask
    hu, lesion = image / GREY_PER_HU, mask > 0
    if lesion.any():
        hu, lesion = change_lesion(hu, lesion, brain, drawn, rng)
    canvas = Canvas(hu, lesion, brain, rng, lender=lender)
    if wide and rng.random() < wide:
        widen(canvas)
    for name, draw in CONFOUNDERS.items():
        if drawn[name]:
            draw(canvas)
    return to_grey(canvas.hu, brain), (canvas.lesion & brain).astype(mask.dtype)
