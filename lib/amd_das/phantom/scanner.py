"""What a CT scanner makes of a head: sampling, partial volume, blur, artefacts, noise."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate

from amd_das.phantom.anatomy import HEAD_CENTRE, rotation
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.lesions import HEMORRHAGE_KINDS, Parenchymal
from amd_das.phantom.look import CtScene
from amd_das.volume import Volume

_RENDER_MM = 0.8
"""The head is sampled about this finely (the anatomy is known at 1 mm) and interpolated to smaller pixels."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One acquisition: geometry, reconstruction kernel, noise and artefacts."""

    matrix: int = 512
    """Pixels along each side of a slice."""

    pixel_mm: float = 0.45
    slice_mm: float = 5.0
    """Slice thickness."""

    distance_mm: float | None = None
    """Distance between slices; None: the thickness, no gaps."""

    tilt_deg: float = 0.0
    """Gantry tilt: the slices lean, the table moves along the body, so the grid is sheared."""

    psf_mm: float = 0.6
    """Standard deviation of the in-plane blur (a sharper kernel has less)."""

    noise_hu: float = 3.5
    """Noise deviation in brain tissue at 1 mm pixels."""

    noise_mm: float = 0.7
    """Correlation of the noise (standard deviation of its filter)."""

    cupping_hu: float = 3.0
    """Beam hardening: brightening towards the skull."""

    streak_hu: float = 8.0
    """Dark and bright bands between the petrous bones."""

    motion_mm: float = 0.0
    """Shift of the head during a slice's acquisition; 0 for none."""

    metal: bool = False
    """A metal object with streaks."""

    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Pose of the head: pitch, roll, yaw."""

    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    holder_mm: float = 128.0
    """Radius of the head holder's arc; 0 for none in view."""

    coverage_mm: tuple[float, float] = (-62.0, 104.0)
    """Lowest and highest slice, relative to the template's z."""

    subslices: int = 3
    """Samples through a slice's thickness (partial volume)."""


def draw_scanner(rng: np.random.Generator, *, matrix: int = 512) -> Scanner:
    """A scanner as they come: most of them good, some scans tilted, noisy, moved or full of metal."""
    field_of_view = rng.uniform(215, 260)
    return Scanner(
        matrix=matrix,
        pixel_mm=float(field_of_view / matrix),
        slice_mm=float(rng.choice([2.5, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0])),
        tilt_deg=float(rng.uniform(5, 22)) if rng.random() < 0.15 else 0.0,
        psf_mm=float(rng.uniform(0.35, 1.0)),
        noise_hu=float(np.exp(rng.uniform(np.log(1.2), np.log(6.0)))),
        noise_mm=float(rng.uniform(0.3, 1.0)),
        cupping_hu=float(rng.uniform(0, 7)),
        streak_hu=float(rng.uniform(0, 18)),
        motion_mm=float(rng.uniform(1, 5)) if rng.random() < 0.08 else 0.0,
        metal=bool(rng.random() < 0.07),
        angles_deg=(float(rng.normal(5, 8)), float(rng.normal(0, 4)), float(rng.normal(0, 7))),
        offset_mm=(float(rng.normal(0, 5)), float(rng.normal(0, 5)), 0.0),
        holder_mm=float(rng.uniform(108, 150)) if rng.random() < 0.7 else 0.0,
        coverage_mm=(float(rng.uniform(-66, -45)), float(rng.uniform(86, 106))),
    )


def _affine(scanner: Scanner, slices: int) -> np.ndarray:
    """Voxel to RAS mm: columns run to the patient's left, rows to posterior, slices to superior."""
    tilt = np.deg2rad(scanner.tilt_deg)
    affine = np.eye(4)
    affine[:3, 0] = [-scanner.pixel_mm, 0, 0]
    affine[:3, 1] = [0, -scanner.pixel_mm * np.cos(tilt), scanner.pixel_mm * np.sin(tilt)]
    affine[:3, 2] = [0, 0, scanner.distance_mm or scanner.slice_mm]
    middle = np.array([(scanner.matrix - 1) / 2, (scanner.matrix - 1) / 2, 0, 1])
    affine[:3, 3] = np.array([0, HEAD_CENTRE[1], scanner.coverage_mm[0]]) - (affine @ middle)[:3]
    return affine


def scan(scene: CtScene, scanner: Scanner, rng: np.random.Generator, case_id: str) -> PhantomCase:
    """The scene as this scanner sees it, HU rounded to whole numbers."""
    low, high = scanner.coverage_mm
    slices = max(1, int((high - low) / (scanner.distance_mm or scanner.slice_mm)))
    affine = _affine(scanner, slices)
    pose = rotation(np.deg2rad(scanner.angles_deg))
    centre = HEAD_CENTRE.numpy().astype(float)
    size = scanner.matrix
    coarser = max(1, int(_RENDER_MM / scanner.pixel_mm)) if size % 2 == 0 else 1
    coarser = coarser if size % coarser == 0 else 1
    coarse = size // coarser
    positions = (np.arange(coarse) + 0.5) * coarser - 0.5
    rows, columns = np.meshgrid(positions, positions, indexing="ij")
    plane = (
        (rows[..., None] * affine[:3, 0] + columns[..., None] * affine[:3, 1] + affine[:3, 3]).reshape(-1, 3)
        - centre
        - np.array(scanner.offset_mm)
    )
    head_plane = plane @ pose  # the inverse rotation, applied to row vectors
    head_step = affine[:3, 2] @ pose
    thickness = scanner.slice_mm / float(np.linalg.norm(affine[:3, 2]))
    image = np.empty((size, size, slices), np.float32)
    masks = {kind: np.zeros((size, size, slices), np.uint8) for kind in HEMORRHAGE_KINDS}
    fractions = (np.arange(scanner.subslices) + 0.5) / scanner.subslices - 0.5
    fractions *= thickness
    metal = _draw_metal(rng, size) if scanner.metal else None
    for k in range(slices):
        layers = torch.zeros(1 + len(HEMORRHAGE_KINDS), coarse * coarse)
        for part in fractions:
            points = torch.from_numpy((head_plane + (k + part) * head_step + centre).astype(np.float32))
            rendered = scene.render(points)
            layers += torch.stack([rendered.hu, *(rendered.fractions[kind] for kind in HEMORRHAGE_KINDS)])
        plane_hu, *parts = _refined(layers.view(-1, coarse, coarse) / scanner.subslices, size)
        for kind, values in zip(HEMORRHAGE_KINDS, parts, strict=True):
            masks[kind][:, :, k] = values >= 0.5
        image[:, :, k] = _acquire(
            plane_hu, scanner, rng, metal if metal is not None and 0.3 < k / slices < 0.6 else None
        )
    image = np.clip(np.rint(image), -1024, 3071)
    volume = Volume(array=image.astype(np.float32), affine=affine, case_id=case_id, source="phantom")
    voxel_ml = volume.voxel_ml
    record: dict[str, object] = {
        "case_id": case_id,
        "scanner": asdict(scanner),
        "lesions": [
            {
                "kind": lesion.kind,
                "site": lesion.site if isinstance(lesion, Parenchymal) else "",
                "hu": round(lesion.hu, 1),
            }
            for lesion in scene.scene.lesions
        ],
        "volume_ml": {kind: round(float(mask.sum()) * voxel_ml, 3) for kind, mask in masks.items()},
    }
    return PhantomCase(volume=volume, masks=masks, record=record)


def _refined(layers: Tensor, size: int) -> np.ndarray:
    """(C, n, n) → (C, size, size), linear."""
    if layers.shape[-1] == size:
        return layers.numpy()
    return interpolate(layers[None], size=(size, size), mode="bilinear", align_corners=False)[0].numpy()


def _draw_metal(rng: np.random.Generator, size: int) -> tuple[float, float, float]:
    angle = rng.uniform(0, 2 * np.pi)
    return size / 2 + 0.3 * size * np.cos(angle), size / 2 + 0.3 * size * np.sin(angle), rng.uniform(15, 50)


def _acquire(
    hu: np.ndarray, scanner: Scanner, rng: np.random.Generator, metal: tuple[float, float, float] | None
) -> np.ndarray:
    """Blur, beam hardening, streaks, motion, holder and noise of one slice (I, J)."""
    size, pixel = scanner.matrix, scanner.pixel_mm
    if scanner.motion_mm > 0:
        shift = int(round(scanner.motion_mm / pixel * rng.uniform(-1, 1)))
        hu = 0.6 * hu + 0.4 * np.roll(hu, (shift, int(rng.integers(-1, 2))), (0, 1))
    image = gaussian_filter(hu, scanner.psf_mm / pixel)
    bone = np.clip(image - 200, 0, 1500) / 1000
    if scanner.cupping_hu > 0:
        image = image + scanner.cupping_hu * np.clip(gaussian_filter(bone, 6 / pixel) * 4, 0, 1) * (image > -200) * (
            image < 150
        )
    density = gaussian_filter(bone.sum(axis=0), 2 / pixel) * pixel  # mm of bone along each left-right line
    if scanner.streak_hu > 0 and density.max() > 45:
        streak = np.clip((density - 35) / 40, 0, 1) * rng.normal(-0.5, 0.6, size)
        streak = gaussian_filter(streak, 1.2 / pixel) * 2
        image = image + scanner.streak_hu * streak[None, :] * (image > -200)
    if metal is not None:
        x, y, strength = metal
        i, j = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
        radius = np.hypot(i - x, j - y) * pixel
        angle = np.arctan2(j - y, i - x)
        star = np.sin(angle * int(rng.integers(8, 20)) + rng.uniform(0, 6)) + 0.5 * np.sin(
            angle * int(rng.integers(20, 45))
        )
        image = image + strength * star * np.exp(-radius / 35) + np.where(radius < 2.5, 3000, 0)
    if scanner.holder_mm > 0:
        j, i = np.arange(size)[None, :], np.arange(size)[:, None]
        arc = np.hypot(i - size / 2, j - size / 2) * pixel
        holder = (np.abs(arc - scanner.holder_mm) < 2.0) & (j > 0.6 * size) & (image < -500)
        image = np.where(holder, 150.0, image)
    white = rng.standard_normal((size, size))
    grain = gaussian_filter(white, scanner.noise_mm / pixel)
    at_one_mm = gaussian_filter(white, max(scanner.noise_mm, 0.45) / pixel).std()  # what 1 mm pixels would leave of it
    through_bone = 1 + 0.5 * np.clip((density - 20) / 60, 0, 1)[None, :]
    return image + scanner.noise_hu * grain / max(at_one_mm, 1e-6) * through_bone
