"""What may have happened to a head: bleeds of every type and glioma, with edema and mass effect.

Lesions live in template coordinates (mm). Each says how much of a point it fills, where the tissue it pushed aside
came from, and how it looks. The sites and volumes of hemorrhage follow the usual clinical picture: deep and lobar
hypertensive bleeds, contusions under the frontal and temporal bones, extra-axial bleeds along the inner table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from amd_das.phantom.anatomy import HEAD_CENTRE, Subject, Tissue, rotation
from amd_das.phantom.fields import Field, layered, smooth_noise, smoothstep

LesionKind = Literal["iph", "ivh", "sah", "sdh", "edh", "glioma"]
HEMORRHAGE_KINDS: Final[tuple[str, ...]] = ("iph", "ivh", "sah", "sdh", "edh")

_DEEP_SITES: Final = {
    "basal ganglia": (26.0, 2.0, 3.0),
    "thalamus": (13.0, -18.0, 8.0),
    "cerebellum": (24.0, -62.0, -36.0),
    "pons": (2.0, -26.0, -34.0),
}
"""Template positions in mm, right side."""

_CONTUSION_SITES: Final = (
    (28.0, 50.0, -6.0),
    (14.0, 58.0, 0.0),
    (46.0, 8.0, -30.0),
    (56.0, -22.0, -18.0),
    (40.0, 40.0, 14.0),
)
"""Frontal and temporal poles and bases, right side, template mm."""


class Effect(NamedTuple):
    """What one lesion does to some points."""

    fraction: Tensor
    """(N,) in [0, 1], part of the point that is blood (or tumour)."""

    extent: Tensor
    """(N,) in [0, 1], part of the point that an expert would outline: where there is enough blood to be seen."""

    hu: Tensor
    """(N,) HU of the lesion itself."""

    edema: Tensor
    """(N,) in [0, 1], strength of the edema around it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Blob:
    """A star-like region with an irregular edge."""

    centre: Tensor
    """(3,) template mm."""

    radius_mm: float
    unit_from_mm: Tensor
    """(3, 3), maps an offset in mm to the unit ball."""

    roughness: float
    """Irregularity of the edge, as a part of the radius."""

    noise: Field
    """Two channels: coarse and fine irregularity."""

    def depth_mm(self, points: Tensor) -> Tensor:
        """(N,) roughly the distance to the edge in mm, positive inside."""
        offset = (points - self.centre) @ self.unit_from_mm.T
        coarse, fine = self.noise.at((points - self.centre) / self.radius_mm * 10)
        level = offset.norm(dim=1) + self.roughness * (coarse + 0.35 * fine)
        return (1 - level) * self.radius_mm


def draw_blob(rng: np.random.Generator, centre: Sequence[float], volume_ml: float, roughness: float) -> Blob:
    """A blob of about this volume around ``centre``."""
    radius = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(rng.normal(0, 0.22, 3))
    stretch /= stretch.prod() ** (1 / 3)
    unit = np.diag(1 / (radius * stretch)) @ rotation(rng.uniform(-np.pi, np.pi, 3))
    # The noise is drawn over a ball of 10 units; depth_mm scales offsets to it, so big blobs have big bumps.
    coarse = smooth_noise(rng, 7.0, low=(-25,) * 3, high=(25,) * 3)
    fine = smooth_noise(rng, 2.5, low=(-25,) * 3, high=(25,) * 3)
    return Blob(
        centre=torch.tensor(centre, dtype=torch.float32),
        radius_mm=float(radius),
        unit_from_mm=torch.tensor(unit, dtype=torch.float32),
        roughness=roughness,
        noise=layered(coarse, fine),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Parenchymal:
    """A lesion inside the brain: intraparenchymal hemorrhage, contusion, or glioma."""

    kind: LesionKind
    site: str
    blobs: tuple[Blob, ...]
    hu: float
    """Mean HU of the lesion."""

    texture: Field
    """(2, …) coarse and fine, unit deviation."""

    texture_hu: tuple[float, float]
    density: float = 1.0
    """Part of the tissue that is lesion where the lesion is: 1 for a solid bleed, less for a contusion."""

    patchiness: float = 0.0
    """0 solid … 1 salt and pepper."""

    edge_mm: float = 1.0
    edema_mm: float = 5.0
    edema: float = 0.5
    mass_effect: float = 0.3
    """Displacement of the surroundings as a part of the radius."""

    crosses_midline: bool = False
    fluid_level_y: float | None = None
    """Template y in mm below which (dependent, posterior) the blood is denser."""

    def _depth(self, points: Tensor) -> Tensor:
        return torch.stack([blob.depth_mm(points) for blob in self.blobs]).amax(0)

    def displacement(self, points: Tensor) -> Tensor:
        """(N, 3) mm to add to a point to find where its tissue was before the lesion came."""
        if self.mass_effect <= 0:
            return torch.zeros_like(points)
        blob = self.blobs[0]
        offset = points - blob.centre
        distance = offset.norm(dim=1).clamp(min=0.5)
        radius = blob.radius_mm
        push = self.mass_effect * radius * torch.exp(-(distance - radius).clamp(min=0) / (0.6 * radius + 8))
        push = torch.minimum(push, distance * 0.9)
        return -offset / distance[:, None] * push[:, None]

    def effect(self, points: Tensor, tissue: Tissue, outside: Tensor) -> Effect:
        """See :class:`Effect`; ``outside`` is the distance to the undisplaced hull."""
        depth = self._depth(points)
        coarse, fine = self.texture.at(points)
        extent = smoothstep(depth / self.edge_mm + 0.5)
        share = torch.full_like(depth, self.density)
        if self.patchiness > 0:
            share = share * (1 - self.patchiness * smoothstep(0.5 - (coarse + 0.5 * fine)))
        fraction = extent * share
        extent = extent * smoothstep((share - 0.3) / 0.2)
        allowed = smoothstep(0.5 - outside / 1.5) * (1 - tissue.ventricle)
        if not self.crosses_midline:
            side = torch.sign(self.blobs[0].centre[0])
            allowed = allowed * smoothstep(side * points[:, 0] / 1.5)
        hu = self.hu + self.texture_hu[0] * coarse + self.texture_hu[1] * fine
        if self.fluid_level_y is not None:
            hu = hu + 14 * (smoothstep((self.fluid_level_y - points[:, 1]) / 3 + 0.5) - 0.6)
        edema = self.edema * smoothstep(1 + depth / self.edema_mm) * (1 - 0.6 * tissue.grey)
        return Effect(fraction * allowed, extent * allowed, hu, edema * allowed)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtraAxial:
    """A bleed between skull and brain: subdural (crescent) or epidural (lens)."""

    kind: LesionKind
    direction: Tensor
    """(3,) unit vector from the head's centre to its middle."""

    extent_rad: float
    thickness_mm: float
    hu: float
    texture: Field
    gap_mm: float
    texture_hu: float = 4.0
    lens: bool = False

    def _thickness(self, points: Tensor) -> Tensor:
        towards = normalize(points - HEAD_CENTRE, dim=1)
        stretched = towards * torch.tensor([1.0, 1.0, 1.15])
        angle = torch.acos((normalize(stretched, dim=1) @ self.direction).clamp(-1, 1))
        angle = angle + 0.06 * self.texture.at(points)[0]
        if self.lens:
            profile = (1 - (angle / self.extent_rad) ** 2).clamp(min=0).sqrt()
        else:
            profile = smoothstep((self.extent_rad - angle) / (0.5 * self.extent_rad))
        side = torch.sign(self.direction[0])
        return self.thickness_mm * profile * smoothstep(side * points[:, 0] / 3)

    def displacement(self, points: Tensor) -> Tensor:
        """The brain gives way inwards, less and less with depth."""
        outwards = normalize(points - HEAD_CENTRE, dim=1)
        distance = (points - HEAD_CENTRE).norm(dim=1)
        return outwards * (0.85 * self._thickness(points) * smoothstep(distance / 70))[:, None]

    def effect(self, points: Tensor, tissue: Tissue, outside: Tensor) -> Effect:
        """See :class:`Effect`."""
        depth = self.gap_mm - outside
        thickness = self._thickness(points)
        fraction = smoothstep((thickness - depth) / 1.0 + 0.5) * smoothstep(depth + 0.5) * smoothstep(thickness / 1.5)
        coarse, fine = self.texture.at(points)
        return Effect(fraction, fraction, self.hu + self.texture_hu * (coarse + 0.5 * fine), torch.zeros_like(fraction))


@dataclass(frozen=True, kw_only=True, eq=False)
class InCsf:
    """Blood mixed into CSF: intraventricular or subarachnoid."""

    kind: LesionKind
    centre: Tensor
    radius_mm: float
    density: float
    hu: float
    texture: Field
    level_y: float | None = None
    """For intraventricular blood: template y in mm; only what lies posterior of it is filled."""

    def displacement(self, points: Tensor) -> Tensor:
        """Blood in CSF pushes nothing aside."""
        return torch.zeros_like(points)

    def effect(self, points: Tensor, tissue: Tissue, outside: Tensor) -> Effect:
        """See :class:`Effect`."""
        coarse, fine = self.texture.at(points)
        near = smoothstep((self.radius_mm - (points - self.centre).norm(dim=1)) / 10 + 0.5 + 0.3 * coarse)
        if self.kind == "ivh":
            place = smoothstep(2 * tissue.ventricle - 0.5)
            if self.level_y is not None:
                place = place * smoothstep((self.level_y - points[:, 1]) / 1.5 + 0.5)
        else:
            place = smoothstep(1.4 * (tissue.csf - tissue.ventricle) - 0.2) * smoothstep((3 - outside) / 2)
        fraction = self.density * near * place * (0.85 + 0.15 * fine).clamp(0, 1)
        return Effect(fraction, fraction, self.hu + 3 * coarse, torch.zeros_like(fraction))


Lesion = Parenchymal | ExtraAxial | InCsf


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A subject and what happened to it."""

    subject: Subject
    lesions: tuple[Lesion, ...] = ()
    bulge: Callable[[Tensor], Tensor] | None = field(default=None)
    """Displacement of the brain through a hole in the skull, (N, 3) → (N, 3) mm, or None."""

    def tissue_points(self, points: Tensor) -> Tensor:
        """Template coordinates (N, 3) of where the tissue now at these template coordinates was before."""
        moved = points
        for lesion in self.lesions:
            moved = moved + lesion.displacement(points)
        if self.bulge is not None:
            moved = moved + self.bulge(points)
        return moved


def draw_texture(rng: np.random.Generator, coarse_mm: float = 9.0, fine_mm: float = 3.5) -> Field:
    """Two channels of noise, coarse and fine."""
    fine = smooth_noise(rng, fine_mm)
    return layered(smooth_noise(rng, coarse_mm), fine)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _lobar_site(rng: np.random.Generator) -> tuple[float, float, float]:
    """A point 10-30 mm under the convexity of the right hemisphere."""
    direction = np.array([rng.uniform(0.25, 1), rng.uniform(-1, 1), rng.uniform(-0.25, 0.8)])
    direction /= np.linalg.norm(direction)
    surface = np.array([66.0, 82.0, 66.0])
    reach = 1 / np.linalg.norm(direction / surface)
    x, y, z = HEAD_CENTRE.numpy() + direction * (reach - rng.uniform(10, 30))
    return float(max(x, 12.0)), float(y), float(z)


def draw_hemorrhage(rng: np.random.Generator, texture: Field, volume_ml: float | None = None) -> Parenchymal:
    """A spontaneous intraparenchymal bleed of 1-100 mL at one of its usual sites."""
    site = str(
        rng.choice(["basal ganglia", "thalamus", "lobar", "cerebellum", "pons"], p=[0.32, 0.16, 0.36, 0.10, 0.06])
    )
    limit = {"basal ganglia": 90.0, "thalamus": 35.0, "lobar": 100.0, "cerebellum": 40.0, "pons": 12.0}[site]
    volume = volume_ml if volume_ml is not None else _log_uniform(rng, 1.0, limit)
    x, y, z = _lobar_site(rng) if site == "lobar" else _DEEP_SITES[site]
    side = rng.choice([-1, 1])
    spread = 1.5 if site == "pons" else 5.0
    centre = (side * max(x + rng.normal(0, spread), 1.0), y + rng.normal(0, spread), z + rng.normal(0, spread))
    roughness = rng.uniform(0.05, 0.28)
    blobs = [draw_blob(rng, centre, volume * 0.8, roughness)]
    for _ in range(rng.integers(0, 4)):
        offset = rng.normal(0, 0.6 * blobs[0].radius_mm, 3)
        blobs.append(draw_blob(rng, np.add(centre, offset).tolist(), volume * rng.uniform(0.03, 0.3), roughness))
    faint = rng.random() < 0.2
    hu = rng.uniform(52, 58) if faint else rng.uniform(57, 82)
    age = rng.uniform(0, 1)
    return Parenchymal(
        kind="iph",
        site=site,
        blobs=tuple(blobs),
        hu=float(hu),
        texture=texture,
        texture_hu=(float(rng.uniform(1, 6)), float(rng.uniform(0.5, 4))),
        density=float(rng.uniform(0.8, 1.0)),
        patchiness=float(rng.uniform(0, 0.5) if rng.random() < 0.25 else 0.0),
        edge_mm=float(rng.uniform(0.8, 3.5)),
        edema_mm=float(2 + 9 * age * rng.uniform(0.4, 1)),
        edema=float(rng.uniform(0.2, 1.0)),
        mass_effect=float(rng.uniform(0.1, 0.5)),
        crosses_midline=site in ("pons", "cerebellum"),
        fluid_level_y=float(y + rng.normal(0, 4)) if rng.random() < 0.08 else None,
    )


def draw_contusion(rng: np.random.Generator, texture: Field, volume_ml: float | None = None) -> Parenchymal:
    """A traumatic bleed: clusters of small, patchy, often faint hemorrhages near the surface, in edema."""
    volume = volume_ml if volume_ml is not None else _log_uniform(rng, 1.0, 40)
    x, y, z = _CONTUSION_SITES[rng.integers(len(_CONTUSION_SITES))] if rng.random() < 0.7 else _lobar_site(rng)
    side = rng.choice([-1, 1])
    centre = np.array([side * max(x + rng.normal(0, 6), 8.0), y + rng.normal(0, 6), z + rng.normal(0, 6)])
    count = int(min(rng.integers(1, 8), 1 + volume // 0.7))
    shares = rng.dirichlet(np.full(count, 1.2)) * volume
    spread = (3000 * volume / (4 * np.pi)) ** (1 / 3) * rng.uniform(0.6, 1.3)
    blobs = [
        draw_blob(
            rng, (centre + rng.normal(0, spread * 0.6, 3)).tolist(), float(max(share, 0.05)), rng.uniform(0.15, 0.4)
        )
        for share in shares
    ]
    return Parenchymal(
        kind="iph",
        site="contusion",
        blobs=tuple(blobs),
        hu=float(rng.uniform(55, 80)),
        texture=texture,
        texture_hu=(float(rng.uniform(2, 7)), float(rng.uniform(1, 6))),
        density=float(rng.uniform(0.75, 1.0)),
        patchiness=float(rng.uniform(0.0, 0.5)),
        edge_mm=float(rng.uniform(1, 3.5)),
        edema_mm=float(rng.uniform(3, 14)),
        edema=float(rng.uniform(0.3, 1.0)),
        mass_effect=float(rng.uniform(0, 0.4)),
    )


def draw_extra_axial(rng: np.random.Generator, texture: Field, kind: LesionKind, gap_mm: float) -> ExtraAxial:
    """A subdural or an epidural bleed, acute or (subdural) older and darker."""
    direction = np.array([rng.choice([-1, 1]) * rng.uniform(0.5, 1), rng.uniform(-0.9, 0.9), rng.uniform(-0.2, 0.8)])
    lens = kind == "edh"
    old = not lens and rng.random() < 0.25
    return ExtraAxial(
        kind=kind,
        direction=torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32),
        extent_rad=float(rng.uniform(0.25, 0.55) if lens else rng.uniform(0.5, 1.2)),
        thickness_mm=float(rng.uniform(5, 28) if lens else rng.uniform(3, 16)),
        hu=float(rng.uniform(15, 45) if old else rng.uniform(52, 78)),
        texture=texture,
        gap_mm=gap_mm,
        texture_hu=float(rng.uniform(1, 6)),
        lens=lens,
    )


def draw_ventricular(rng: np.random.Generator, texture: Field) -> InCsf:
    """Blood in the ventricles: layering in the posterior horns, or a cast."""
    layering = rng.random() < 0.5
    side = float(rng.choice([-1, 0, 1]))
    return InCsf(
        kind="ivh",
        centre=torch.tensor([18.0 * side, -25.0 + float(rng.normal(0, 12)), 12.0]),
        radius_mm=90.0 if layering else float(rng.uniform(18, 60)),
        density=float(rng.uniform(0.75, 1.0)),
        hu=float(rng.uniform(52, 78)),
        texture=texture,
        level_y=float(rng.uniform(-45, -28)) if layering else None,
    )


def draw_subarachnoid(rng: np.random.Generator, texture: Field) -> InCsf:
    """Blood in the cisterns or in a group of sulci."""
    basal = rng.random() < 0.4
    centre = (0.0, 5.0, -18.0) if basal else _lobar_site(rng)
    side = 1.0 if basal else float(rng.choice([-1, 1]))
    return InCsf(
        kind="sah",
        centre=torch.tensor([side * centre[0], centre[1], centre[2]], dtype=torch.float32),
        radius_mm=float(rng.uniform(25, 60) if basal else rng.uniform(15, 50)),
        density=float(rng.uniform(0.4, 1.0)),
        hu=float(rng.uniform(50, 75)),
        texture=texture,
    )


def draw_glioma(rng: np.random.Generator, texture: Field) -> Parenchymal:
    """A glioma for FLAIR MRI: a core in a wide rim of edema; ``hu`` is not used there."""
    site = _lobar_site(rng) if rng.random() < 0.8 else _DEEP_SITES["basal ganglia"]
    side = rng.choice([-1, 1])
    volume = _log_uniform(rng, 3, 110)
    blobs = [draw_blob(rng, (side * site[0], site[1], site[2]), volume, rng.uniform(0.1, 0.35))]
    for _ in range(rng.integers(0, 3)):
        offset = rng.normal(0, 0.7 * blobs[0].radius_mm, 3)
        blobs.append(
            draw_blob(
                rng,
                (blobs[0].centre.numpy() + offset).tolist(),
                volume * rng.uniform(0.05, 0.4),
                rng.uniform(0.1, 0.35),
            )
        )
    return Parenchymal(
        kind="glioma",
        site="glioma",
        blobs=tuple(blobs),
        hu=0.0,
        texture=texture,
        texture_hu=(0.0, 0.0),
        edge_mm=float(rng.uniform(1.5, 4)),
        edema_mm=float(rng.uniform(4, 16)),
        edema=1.0,
        mass_effect=float(rng.uniform(0.05, 0.35)),
    )
