"""From tissue to HU: what a point of a head looks like on CT, from the brain through skull and face to the air.

Also what is bright or dark and no lesion: falx and sinuses, calcifications, old infarcts, what surgery leaves.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from amd_das.phantom.anatomy import HEAD_CENTRE, Subject
from amd_das.phantom.fields import Field, smooth_noise, smoothstep
from amd_das.phantom.lesions import HEMORRHAGE_KINDS, Lesion, Scene

AIR_HU: Final = -1000.0
_FAT_HU: Final = -80.0
_MUSCLE_HU: Final = 50.0


class Primitives:
    """Ellipsoids and capsules of one HU each, in template coordinates: the inside of the face and the skull base."""

    def __init__(self, rng: np.random.Generator) -> None:
        jitter = rng.normal(0, 2.0, 64)
        self._jitter = iter(jitter.tolist())
        self._shapes: list[tuple[Tensor, Tensor, Tensor, float]] = []
        dense = float(rng.uniform(900, 1600))
        for side in (-1.0, 1.0):
            self._capsule((side * 16, -12, -33), (side * 52, -31, -33), rng.uniform(5, 8), dense)
            self._capsule((side * 9, 18, -22), (side * 44, 27, -21), rng.uniform(1.5, 3), 700)
            self._ellipsoid((side * 30, 66, -38), (18, 22, 16), _FAT_HU)
            self._ellipsoid((side * 31, 72, -38), (12, 12, 12), 12.0)
            self._capsule((side * 22, 46, -37), (side * 30, 62, -38), 3.0, _MUSCLE_HU)
            self._ellipsoid((side * 26, 58, -62), (15, 17, 14), AIR_HU)
            self._ellipsoid((side * 8, 50, -36), (6, 16, 10), AIR_HU if rng.random() < 0.9 else 30.0)
            self._capsule((side * 48, 66, -46), (side * 66, 12, -48), 4.0, 800.0)
            self._ellipsoid((side * 7, 76, -4 + 4 * rng.random()), (9, 4, 9), AIR_HU)
        self._ellipsoid((0, 20, -36), (12, 11, 9), AIR_HU)
        self._capsule((0, -3, -29), (0, -22, -64), 5.0, 700.0)
        self._ellipsoid((0, 62, -60), (9, 22, 20), AIR_HU)
        self.mastoid_air = rng.random() < 0.85

    def _next(self, values: tuple[float, ...]) -> Tensor:
        return torch.tensor([value + next(self._jitter, 0.0) * 0.5 for value in values], dtype=torch.float32)

    def _ellipsoid(self, centre: tuple[float, ...], radii: tuple[float, ...], hu: float) -> None:
        c = self._next(centre)
        self._shapes.append((c, c, torch.tensor(radii, dtype=torch.float32), hu))

    def _capsule(self, start: tuple[float, ...], end: tuple[float, ...], radius: float, hu: float) -> None:
        self._shapes.append((self._next(start), self._next(end), torch.full((3,), float(radius)), hu))

    def paint(self, points: Tensor, hu: Tensor, bone_only: bool) -> Tensor:
        """``hu`` (N,) with the shapes painted over it; inside the skull only the bony ones."""
        hu = hu.clone()
        for start, end, radii, value in self._shapes:
            if bone_only and value < 300:
                continue
            reach = (end - start).abs() / 2 + radii + 1.5
            near = ((points - (start + end) / 2).abs() < reach).all(dim=1).nonzero().squeeze(1)
            if not len(near):
                continue
            offset = points[near] - start
            axis = end - start
            length = axis.square().sum()
            along = (offset @ axis / length).clamp(0, 1) if length > 0 else torch.zeros(len(near))
            scaled = (offset - along[:, None] * axis) / radii
            weight = smoothstep((1 - scaled.norm(dim=1)) * radii.min() / 1.5 + 0.5)
            hu[near] += (value - hu[near]) * weight
        return hu


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """HU of one subject's tissues and the bright and dark things that are no lesion. Drawn by :func:`draw_look`."""

    grey_hu: float
    white_hu: float
    csf_hu: float
    bone_hu: float
    diploe_hu: float
    skull_mm: float
    scalp_mm: float
    folds: Field
    """(4, …): skull thickness, scalp thickness, gap, soft-tissue texture."""

    primitives: Primitives
    falx_hu: float
    sinus_hu: float
    calcifications: tuple[tuple[Tensor, float, float], ...]
    """Centre, radius in mm, HU."""

    hypodensities: tuple[tuple[Tensor, float, float], ...]
    """Old infarcts: centre, radius in mm, change in HU."""

    small_vessel_hu: float
    """Darkening of the white matter round the ventricles (leukoaraiosis), HU."""

    swelling: Tensor
    """(3,) direction of a scalp hematoma."""

    swelling_mm: float
    hole: Tensor | None
    """(3,) direction of a craniectomy, or None."""

    hole_rad: float = 0.6
    hole_filled: bool = False
    """True: the bone flap is back in place (craniotomy, burr edges remain)."""

    bulge_mm: float = 0.0
    air: Tensor | None = None
    """(3,) template position of intracranial air after surgery, or None."""

    catheter: tuple[Tensor, Tensor] | None = None


def draw_look(rng: np.random.Generator) -> Look:
    """Tissue values in their usual ranges; calcifications, old infarcts and surgery now and then."""
    calcifications: list[tuple[Tensor, float, float]] = []

    def calcify(
        position: tuple[float, float, float], chance: float, radius: tuple[float, float], hu: tuple[float, float]
    ) -> None:
        if rng.random() < chance:
            where = torch.tensor(np.add(position, rng.normal(0, 1.5, 3)), dtype=torch.float32)
            calcifications.append((where, float(rng.uniform(*radius)), float(rng.uniform(*hu))))

    calcify((0, -26, 2), 0.6, (1.5, 3.5), (80, 300))
    for side in (-1.0, 1.0):
        calcify((side * 24, -40, 9), 0.5, (1.5, 5), (60, 260))
        calcify((side * 18, 0, 0), 0.12, (2, 5), (50, 130))
    for _ in range(rng.poisson(0.4)):
        calcify((0, float(rng.uniform(-60, 60)), float(rng.uniform(30, 60))), 1.0, (1, 3), (80, 400))
    hypodensities = []
    for _ in range(rng.poisson(0.5)):
        direction = rng.normal(size=3)
        where = HEAD_CENTRE.numpy() + direction / np.linalg.norm(direction) * rng.uniform(15, 65)
        hypodensities.append(
            (torch.tensor(where, dtype=torch.float32), float(rng.uniform(3, 25)), float(-rng.uniform(4, 22)))
        )
    surgery = rng.random()
    hole = None
    if surgery < 0.16:
        direction = np.array([rng.choice([-1, 1]), rng.uniform(-0.5, 0.7), rng.uniform(0.0, 0.7)])
        hole = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)
    white = rng.uniform(24, 32)
    swelling = rng.normal(size=3) * [1, 1, 0.5]
    catheter = None
    if rng.random() < 0.1:
        side = float(rng.choice([-1, 1]))
        catheter = (torch.tensor([side * 30, 45.0, 75.0]), torch.tensor([side * 6, 12.0, 14.0]))
    return Look(
        grey_hu=float(white + rng.uniform(4, 10)),
        white_hu=float(white),
        csf_hu=float(rng.uniform(2, 13)),
        bone_hu=float(rng.uniform(800, 1500)),
        diploe_hu=float(rng.uniform(300, 700)),
        skull_mm=float(rng.uniform(4, 9)),
        scalp_mm=float(rng.uniform(3, 8)),
        folds=smooth_noise(rng, 28, channels=4),
        primitives=Primitives(rng),
        falx_hu=float(rng.uniform(40, 68)),
        sinus_hu=float(rng.uniform(44, 70)),
        calcifications=tuple(calcifications),
        hypodensities=tuple(hypodensities),
        small_vessel_hu=float(rng.uniform(0, 9)),
        swelling=torch.tensor(swelling / np.linalg.norm(swelling), dtype=torch.float32),
        swelling_mm=float(rng.uniform(4, 16)) if rng.random() < 0.2 else 0.0,
        hole=hole,
        hole_rad=float(rng.uniform(0.35, 0.85)),
        hole_filled=bool(rng.random() < 0.4),
        bulge_mm=float(rng.uniform(-4, 10)),
        air=torch.tensor([float(rng.normal(0, 25)), 60.0, 30.0])
        if rng.random() < (0.5 if hole is not None else 0.02)
        else None,
        catheter=catheter,
    )


class Rendered(NamedTuple):
    """What a set of points looks like."""

    hu: Tensor
    """(N,) float32."""

    fractions: dict[str, Tensor]
    """Lesion kind → (N,) in [0, 1]."""


class CtScene:
    """A scene with its look: a function from points in the head to HU."""

    def __init__(self, subject: Subject, lesions: tuple[Lesion, ...], look: Look) -> None:
        self.look = look
        self.scene = Scene(subject=subject, lesions=lesions, bulge=self._bulge if look.hole is not None else None)

    def _hole(self, points: Tensor) -> Tensor:
        """(N,) 1 within the craniectomy, 0 elsewhere."""
        if self.look.hole is None:
            return torch.zeros(len(points))
        towards = normalize(points - HEAD_CENTRE, dim=1)
        angle = torch.acos((towards @ self.look.hole).clamp(-1, 1))
        return smoothstep((self.look.hole_rad - angle) / 0.06)

    def _bulge(self, points: Tensor) -> Tensor:
        outwards = normalize(points - HEAD_CENTRE, dim=1)
        far = smoothstep((points - HEAD_CENTRE).norm(dim=1) / 70)
        amount = 0.0 if self.look.hole_filled else self.look.bulge_mm
        return -outwards * (amount * far * self._hole(points))[:, None]

    def render(self, head_points: Tensor) -> Rendered:
        """HU and lesion fractions at head coordinates (N, 3), mm."""
        subject, look = self.scene.subject, self.look
        points = subject.template(head_points)
        outside = subject.atlas.distance.at(points)[0]
        hu = torch.full((len(points),), AIR_HU)
        fractions = {kind: torch.zeros(len(points)) for kind in HEMORRHAGE_KINDS}
        folds = look.folds.at(points)
        gap = (subject.gap_mm * (1 + 0.35 * folds[2])).clamp(min=0.2)
        hole = self._hole(points)
        reach = gap if look.hole_filled else gap + hole * max(look.bulge_mm, 0.0)
        inner = outside < reach + 1.5
        shell = (outside > gap - 1.5) & (outside < 90)
        if inner.any():
            brain_hu, brain_fractions = self._inside(points[inner], outside[inner])
            hu[inner] = brain_hu
            for kind, values in brain_fractions.items():
                fractions[kind][inner] = values
        if shell.any():
            cover = self._shell(points[shell], outside[shell], folds[:, shell], gap[shell], hole[shell])
            weight = smoothstep((outside[shell] - reach[shell]) / 1.0 + 0.5)
            hu[shell] = torch.where(inner[shell], hu[shell] + (cover - hu[shell]) * weight, cover)
            for values in fractions.values():
                values[shell] *= 1 - weight
        near_base = points[:, 2] < 0
        if near_base.any():
            base = look.primitives.paint(points[near_base], hu[near_base], bone_only=True)
            bony = base > 150
            for values in fractions.values():
                values[near_base] = torch.where(bony, 0.0, values[near_base])
            hu[near_base] = base
        return Rendered(hu, fractions)

    def _inside(self, points: Tensor, outside: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        look = self.look
        tissue = self.scene.subject.tissue(self.scene.tissue_points(points))
        fluid = smoothstep(tissue.outside / 1.5 + 0.5)
        grey, white = tissue.grey * (1 - fluid), tissue.white * (1 - fluid)
        tissue = tissue._replace(grey=grey, white=white, csf=1 - grey - white)
        hu = look.grey_hu * grey + look.white_hu * white + look.csf_hu * tissue.csf
        hu = hu - look.small_vessel_hu * white * smoothstep(1 - tissue.to_ventricle / 14)
        for centre, radius, change in look.hypodensities:
            weight = smoothstep((radius - (points - centre).norm(dim=1)) / 4 + 0.5) * (1 - tissue.csf)
            hu = hu + change * weight
        # falx, superior sagittal and transverse sinuses, torcular
        x, y, z = points.unbind(1)
        falx = (
            smoothstep((1.3 - x.abs()) / 0.8 + 0.5)
            * smoothstep((z - 12) / 6)
            * smoothstep(1 + (outside + 32) / 6 * (outside < -32))
        )
        falx = falx * smoothstep((tissue.csf - 0.25) / 0.4 + 0.3 * (outside > -6))
        sinus = smoothstep((4.5 - (x.abs() + (outside + 1).abs())) / 2) * ((z > 5) | (y < -60))
        transverse = (
            smoothstep((4 - (outside + 1.5).abs()) / 2)
            * smoothstep((4 - (z + 22 + 0.15 * (y + 90)).abs()) / 2)
            * (y < -45)
        )
        tentorium = (
            smoothstep((1.2 - (z + 8 + 0.55 * (x.abs() - 8) * (-1) + 0.35 * (y + 50) * (-1)).abs()) / 1)
            * (y < -40)
            * (y > -85)
            * (tissue.csf > 0.2)
        )
        for weight, value in (
            (falx, look.falx_hu),
            (tentorium, look.falx_hu),
            (sinus, look.sinus_hu),
            (transverse, look.sinus_hu),
        ):
            hu = hu + (value - hu) * weight.clamp(0, 1)
        fractions: dict[str, Tensor] = {}
        effects = [lesion.effect(points, tissue, outside) for lesion in self.scene.lesions]
        for effect in effects:
            hu = hu - 13.0 * effect.edema * (1 - tissue.csf)
        for lesion, effect in zip(self.scene.lesions, effects, strict=True):
            hu = hu + (effect.hu - hu) * effect.fraction
            for kind in fractions:
                if kind != lesion.kind:
                    fractions[kind] = fractions[kind] * (1 - effect.extent)
            fractions[lesion.kind] = torch.maximum(fractions.get(lesion.kind, torch.zeros(len(points))), effect.extent)
        for centre, radius, value in look.calcifications:
            weight = smoothstep((radius - (points - centre).norm(dim=1)) / 1.5 + 0.5)
            hu = hu + (value - hu) * weight
        if look.catheter is not None:
            start, end = look.catheter
            axis = end - start
            along = ((points - start) @ axis / axis.square().sum()).clamp(0, 1)
            hu = hu + (220 - hu) * smoothstep((1.6 - (points - start - along[:, None] * axis).norm(dim=1)) / 0.8)
        if look.air is not None:
            pocket = smoothstep((12 - (points - look.air).norm(dim=1)) / 3) * smoothstep((outside + 6) / 3)
            hu = hu + (AIR_HU - hu) * pocket
        return hu, fractions

    def _shell(self, points: Tensor, outside: Tensor, folds: Tensor, gap: Tensor, hole: Tensor) -> Tensor:
        """HU from the inner table outwards: skull, scalp, face, air."""
        look = self.look
        towards = normalize(points - HEAD_CENTRE, dim=1)
        depth = outside - gap
        skull = (look.skull_mm * (1 + 0.22 * folds[0])).clamp(min=2.0)
        skull = skull * (1 - 0.4 * smoothstep((towards[:, 0].abs() - 0.7) / 0.3))
        temporal = (
            smoothstep((towards[:, 0].abs() - 0.55) / 0.25)
            * smoothstep(1 - (points[:, 2] + 5).abs() / 40)
            * smoothstep((points[:, 1] + 30) / 30)
        )
        scalp = look.scalp_mm * (1 + 0.25 * folds[1]) + 9 * temporal
        if look.swelling_mm > 0:
            angle = torch.acos((towards @ look.swelling).clamp(-1, 1))
            swelling = look.swelling_mm * smoothstep((0.7 - angle) / 0.4)
        else:
            swelling = torch.zeros_like(depth)
        scalp = scalp + swelling
        middle = smoothstep(torch.minimum(depth - 1.3, skull - 1.3 - depth) / 1.0)
        bone = look.bone_hu + (look.diploe_hu - look.bone_hu) * middle
        _, y, z = points.unbind(1)
        soft = _MUSCLE_HU + 8 * folds[3]
        fat = smoothstep(1 - (depth - skull - 0.55 * scalp).abs() / (0.35 * scalp)) * (1 - temporal)
        cover = soft + (_FAT_HU - soft) * fat * (1 - smoothstep(swelling / 3))
        cover = cover + 14 * smoothstep(swelling / 4)
        skin = smoothstep(2.5 - (skull + scalp - depth))
        cover = cover + (_MUSCLE_HU - cover) * skin
        face = 1 - (((points - torch.tensor([0.0, 28.0, -64.0])) / torch.tensor([66.0, 70.0, 66.0])).norm(dim=1))
        neck = 1 - ((points[:, :2] - torch.tensor([0.0, -30.0])) / 62).norm(dim=1)
        below = torch.maximum(face * 66, torch.where(z < -20, neck * 60, torch.full_like(z, -99.0)))
        surface = torch.maximum(skull + scalp - depth, below)
        hu = torch.where(depth < skull + scalp, cover, soft - 60 * smoothstep(folds[3] / 1.2))
        if (z < 0).any():
            low = z < 0
            hu[low] = look.primitives.paint(points[low], hu[low], bone_only=False)
            if look.primitives.mastoid_air:
                cells = (
                    smoothstep((13 - (points.abs() - torch.tensor([54.0, 42.0, 38.0])).norm(dim=1)) / 3) * (y < 0) * low
                )
                speckle = torch.sin(points[:, 0] * 1.1) * torch.sin(points[:, 1] * 0.9) * torch.sin(points[:, 2] * 1.3)
                hu = hu + (torch.where(speckle > 0, 500.0, -700.0) - hu) * cells
        is_bone = smoothstep(depth / 0.8 + 0.5) * smoothstep((skull - depth) / 0.8 + 0.5)
        if look.hole is not None:
            seam = hole * (1 - hole) * 4
            is_bone = is_bone * (1 - (seam if look.hole_filled else hole))
        hu = hu + (bone - hu) * is_bone
        return hu + (AIR_HU - hu) * smoothstep(0.5 - surface / 1.0)
