"""A skull-stripped FLAIR MRI of a subject with a glioma, in the form of the Medical Segmentation Decathlon."""

from typing import Final

import numpy as np
import torch

from amd_das.phantom.anatomy import HEAD_CENTRE, Subject, draw_subject, rotation
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.fields import smooth_noise, smoothstep
from amd_das.phantom.lesions import Parenchymal, Scene, draw_glioma, draw_texture
from amd_das.volume import Volume

SHAPE: Final = (240, 240, 155)
"""Voxels, 1 mm each (Decathlon Task01 and BraTS)."""

_TRAINING_SLICES: Final = 40
_TRAINING_DISTANCE_MM: Final = 3.5


def _affine(shape: tuple[int, int, int], distance_mm: float) -> np.ndarray:
    affine = np.diag([-1.0, -1.0, distance_mm, 1.0])
    whole = np.array([(SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2, 72.0 / distance_mm])
    first = (np.array([*SHAPE[:2], round(SHAPE[2] / distance_mm)]) - shape) // 2
    affine[:3, 3] = HEAD_CENTRE.numpy() + affine[:3, :3] @ (first - whole)
    return affine


def make_training_flair(seed: int) -> PhantomCase:
    """One FLAIR as trainings need many of: a slice in 3.5 mm over the whole brain, a quarter of the work."""
    return make_flair(seed, shape=(*SHAPE[:2], _TRAINING_SLICES), distance_mm=_TRAINING_DISTANCE_MM)


def make_flair(
    seed: int, *, shape: tuple[int, int, int] = SHAPE, distance_mm: float = 1.0, case_id: str | None = None
) -> PhantomCase:
    """One FLAIR from a seed: intensities in arbitrary units, 0 outside the brain; mask "glioma" is the whole tumour.

    ``shape`` smaller than the standard one gives the middle of the field of view, for tests; ``distance_mm`` is that
    of its slices.
    """
    rng = np.random.default_rng([seed, 0xF1])
    subject = draw_subject(rng)
    glioma = draw_glioma(rng, draw_texture(rng))
    scene = Scene(subject=subject, lesions=(glioma,))
    affine = _affine(shape, distance_mm)
    pose = rotation(np.deg2rad(rng.normal(0, 3, 3)))
    centre = HEAD_CENTRE.numpy().astype(float)
    scale = float(rng.uniform(150, 900))
    contrast = {
        "white": float(rng.uniform(0.48, 0.6)),
        "grey": float(rng.uniform(0.62, 0.8)),
        "csf": float(rng.uniform(0.05, 0.2)),
        "edema": float(rng.uniform(1.0, 1.5)),
        "core": float(rng.uniform(0.7, 1.3)),
    }
    bias = smooth_noise(rng, 90)
    bias_strength = float(rng.uniform(0.03, 0.15))
    noise = float(rng.uniform(0.01, 0.05))
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    plane = (rows[..., None] * affine[:3, 0] + columns[..., None] * affine[:3, 1] + affine[:3, 3]).reshape(-1, 3)
    image = np.zeros(shape, np.float32)
    mask = np.zeros(shape, np.uint8)
    for k in range(shape[2]):
        points = torch.from_numpy(((plane + k * affine[:3, 2] - centre) @ pose + centre).astype(np.float32))
        signal, whole = _signal(scene, glioma, points, contrast)
        brain = signal > 0
        signal = signal * torch.exp(bias_strength * bias.at(points)[0])
        real, imaginary = noise * rng.standard_normal((2, len(points)))
        rician = np.hypot(signal.numpy() + real, imaginary)
        image[:, :, k] = np.where(brain, rician, 0).reshape(shape[:2])
        mask[:, :, k] = (whole >= 0.5).numpy().reshape(shape[:2])
    volume = Volume(
        array=np.rint(image * scale).astype(np.float32),
        affine=affine,
        case_id=case_id or f"phantom-flair-{seed:04d}",
        source="phantom",
    )
    record: dict[str, object] = {
        "case_id": volume.case_id,
        "contrast": contrast,
        "volume_ml": {"glioma": round(float(mask.sum()) * volume.voxel_ml, 3)},
    }
    return PhantomCase(volume=volume, masks={"glioma": mask}, record=record)


def _signal(
    scene: Scene, glioma: Parenchymal, points: torch.Tensor, contrast: dict[str, float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise-free signal (N,), 0 outside the brain, and the whole tumour's fraction (N,)."""
    subject: Subject = scene.subject
    template = subject.template(points)
    outside = subject.atlas.distance.at(template)[0]
    signal, whole = torch.zeros(len(points)), torch.zeros(len(points))
    inside = outside < 0.5
    if not inside.any():
        return signal, whole
    within = template[inside]
    tissue = subject.tissue(scene.tissue_points(within))
    effect = glioma.effect(within, tissue, outside[inside])
    coarse, fine = glioma.texture.at(within)
    value = contrast["grey"] * tissue.grey + contrast["white"] * tissue.white + contrast["csf"] * tissue.csf
    edema = smoothstep(effect.edema * 1.6)
    value = value + (contrast["edema"] + 0.08 * coarse - value) * edema
    core = contrast["core"] + 0.15 * coarse + 0.08 * fine
    value = value + (core - value) * effect.fraction
    signal[inside] = value.clamp(min=0.01)
    whole[inside] = torch.maximum(effect.extent, edema)
    return signal, whole
