"""A fine-tuning small enough for a test: a network of a few channels on heads of a few slices."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
from helpers.heads import AFFINE, make_head

from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.augment import PAPER
from amd_das.slices.prepare import PrepareConfig
from amd_das.training.learner import seeded

TINY = FcnConfig(stages=((4,), (4,), (4,), (4,), (4,)), decoder_tail=4)


def tiny_fine_tuning(**changes: object) -> FineTuneConfig:
    """Takes a second or two."""
    config = FineTuneConfig(
        steps=6,
        few_steps=3,
        batch=4,
        patch=64,
        validate_steps=2,
        learning_rate=1e-3,
        augment=PAPER,
        device="cpu",
        precision="fp32",
        prepare=PrepareConfig(least_slices=1, lesions_needed=False),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def write_labelled(studies: Path, name: str, *, bleed_x: float | None = 10.0, shift: int = 0) -> Path:
    """A head and its final label as a server keeps them; without a bleed the label is empty. Returns the scan."""
    hu, blood = make_head(bleed_x=10.0 if bleed_x is None else bleed_x)
    if bleed_x is None:
        hu, blood = np.where(blood, 35, hu).astype(np.int16), np.zeros_like(blood)
    final = studies / "labels" / "final"
    final.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(hu, AFFINE), studies / f"{name}.nii.gz")
    label = np.roll(blood, shift, axis=0).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(label, AFFINE), final / f"{name}.nii.gz")
    return studies / f"{name}.nii.gz"


def save_tiny_model(model_dir: Path, seed: int = 0) -> ModelInfo:
    """Random weights of a tiny network, put to use."""
    with seeded(seed):
        network = Fcn(TINY)
    return save_version(model_dir, network, training={}, metrics={}, card="Random, for tests.\n")
