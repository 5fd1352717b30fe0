"""A different head each time, from the MNI152 tissue probability maps that nilearn carries.

Coordinates are millimetres, RAS+. "Template" coordinates are those of MNI152 (Fonov et al. 2009); "head" coordinates
are one subject's own, related to the template by a random affine and elastic map.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from amd_das.phantom.fields import Field, smooth_noise, smoothstep

HEAD_CENTRE = torch.tensor([0.0, -18.0, 10.0])
"""Template position, mm, from which directions on the skull are counted (near the thalamus)."""

_COARSE_MM = 2.0
_MARGIN_MM = (16, 16, 44)  # room below and around the maps for skull, scalp and face


class Atlas(NamedTuple):
    """What is known of the average head, in template coordinates."""

    tissue: Field
    """Grey and white matter probability, 1 mm."""

    distance: Field
    """Signed distances in mm, 2 mm grid: to the surface of the brain's hull (positive outside), to the ventricles."""


class Tissue(NamedTuple):
    """What is at a point, each (N,) float32."""

    grey: Tensor
    white: Tensor
    csf: Tensor
    """Fractions in [0, 1] that sum to one inside the skull."""

    ventricle: Tensor
    """Part of the point that is ventricular CSF, in [0, 1]."""

    outside: Tensor
    """Signed distance to the brain's hull, mm, positive outside."""

    to_ventricle: Tensor
    """Signed distance to the template's ventricles, mm, positive outside them."""


def _signed_distance(mask: np.ndarray, step: float) -> np.ndarray:
    outside = ndimage.distance_transform_edt(~mask, sampling=step)
    inside = ndimage.distance_transform_edt(mask, sampling=step)
    return gaussian_filter_mm(outside - inside, 2.0, step)


def gaussian_filter_mm(values: np.ndarray, sigma_mm: float, step: float) -> np.ndarray:
    """Gaussian smoothing with its width in mm."""
    return ndimage.gaussian_filter(values, sigma_mm / step)


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The template's maps; takes a few seconds the first time in a process."""
    from nilearn import datasets  # slow to import, and only the phantom needs it

    grey_image = datasets.load_mni152_gm_template(resolution=1)
    grey = grey_image.get_fdata(dtype=np.float32)
    white = datasets.load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32)
    origin = grey_image.affine[:3, 3]
    tissue = Field(torch.from_numpy(np.stack([grey, white])), torch.tensor(origin, dtype=torch.float32), 1.0)

    padded = np.pad(grey + white, [(m, m) for m in _MARGIN_MM])
    coarse = ndimage.zoom(padded, 1 / _COARSE_MM, order=1, grid_mode=True, mode="grid-constant")
    coarse_origin = origin - np.array(_MARGIN_MM) + (_COARSE_MM - 1) / 2
    parenchyma = coarse > 0.5
    hull = ndimage.binary_closing(np.pad(parenchyma, 12), iterations=7)[12:-12, 12:-12, 12:-12]
    hull = ndimage.binary_fill_holes(hull)
    depth = ndimage.distance_transform_edt(hull, sampling=_COARSE_MM)
    labels, count = ndimage.label(hull & ~parenchyma & (depth > 16))
    sizes = np.asarray(ndimage.sum_labels(np.ones_like(labels), labels, np.arange(1, count + 1)))
    ventricles = np.isin(labels, 1 + np.flatnonzero(sizes * _COARSE_MM**3 > 300))
    distances = np.stack([_signed_distance(hull, _COARSE_MM), _signed_distance(ventricles, _COARSE_MM)])
    return Atlas(
        tissue=tissue,
        distance=Field(
            torch.from_numpy(distances.astype(np.float32)), torch.tensor(coarse_origin, dtype=torch.float32), _COARSE_MM
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One head: how it differs from the template. Drawn by :func:`draw_subject`."""

    atlas: Atlas
    template_from_head: Tensor
    """(3, 4) float32 affine."""

    elastic: Field
    """(3, …) mm, added to template coordinates."""

    folding: Field
    """(3, …) random preference for grey, white, CSF: every subject's gyri lie elsewhere."""

    folding_strength: float
    atrophy: float
    """Preference for CSF, in log-odds; 0 is the template, about 1.5 an old brain."""

    ventricle_mm: float
    """How far the ventricles' walls are moved outwards, mm."""

    gap_mm: float
    """Space between brain and inner table, mm."""

    def template(self, points: Tensor) -> Tensor:
        """Head coordinates (N, 3) → template coordinates (N, 3)."""
        mapped = points @ self.template_from_head[:, :3].T + self.template_from_head[:, 3]
        return mapped + self.elastic.at(mapped).T

    def tissue(self, points: Tensor) -> Tissue:
        """What is at these template coordinates (N, 3)."""
        grey, white = self.atlas.tissue.at(points)
        outside, to_ventricle = self.atlas.distance.at(points)
        rest = (1 - grey - white).clamp(min=0)
        logits = torch.stack([grey, white, rest]).clamp(min=0.02).log() * 1.8
        logits += self.folding_strength * self.folding.at(points)
        logits[2] += self.atrophy * smoothstep(1 + outside / 25)
        grey, white, csf = logits.softmax(0)
        # The template's CSF fades out near its hull; a subject's brain reaches the gap.
        ventricle = smoothstep((self.ventricle_mm - to_ventricle) / 1.6 + 0.5)
        grey, white = grey * (1 - ventricle), white * (1 - ventricle)
        csf = 1 - grey - white
        return Tissue(grey, white, csf, ventricle, outside, to_ventricle)

    @property
    def volume_scale(self) -> float:
        """mL in the head for one mL of the template (of the affine part)."""
        return float(1 / torch.det(self.template_from_head[:, :3]).abs())


def rotation(angles_rad: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles_rad), np.sin(angles_rad)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def draw_subject(rng: np.random.Generator) -> Subject:
    """A random head; older ones have wider sulci and ventricles."""
    age = rng.uniform(0, 1)
    scale = np.diag(rng.normal(1.0, [0.045, 0.045, 0.045]).clip(0.88, 1.12))
    shear = np.eye(3) + np.triu(rng.normal(0, 0.02, (3, 3)), 1)
    centre = HEAD_CENTRE.numpy().astype(float)
    linear = scale @ shear
    affine = np.column_stack([linear, centre - linear @ centre])
    elastic = smooth_noise(rng, 45, channels=3)
    fine = smooth_noise(rng, 18, channels=3)
    amplitude = rng.uniform(1.5, 4.0)
    values = amplitude * elastic.at(fine.points()) + rng.uniform(0.5, 1.2) * fine.values.reshape(3, -1)
    return Subject(
        atlas=load_atlas(),
        template_from_head=torch.tensor(affine, dtype=torch.float32),
        elastic=Field(values.reshape(fine.values.shape), fine.origin, fine.step),
        folding=smooth_noise(rng, rng.uniform(5, 8), channels=3),
        folding_strength=rng.uniform(0.5, 1.2),
        atrophy=rng.normal(2.0 * age - 0.6, 0.3),
        ventricle_mm=rng.normal(-0.8 + 3.0 * age, 1.0),
        gap_mm=rng.uniform(0.5, 1.8) + 2.0 * age * rng.uniform(0, 1),
    )
