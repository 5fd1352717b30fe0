"""What a mask amounts to: mL, ABC/2, and for each lesion where it lies.

Everything is measured in millimetres on the input's own grid, whatever its orientation, spacing or shear. Axial
slices are those across the array axis closest to superior-inferior.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from amd_das.components import Components
from amd_das.errors import GeometryError
from amd_das.preprocessing.grid import AxialGrid
from amd_das.volume import Volume

Side = Literal["left", "right", "midline"]

MIDLINE_TOLERANCE_MM = 5.0
"""A lesion whose centroid lies closer to the midline than this is on neither side, mm (ours)."""

TISSUE_HU = -200.0
"""The head is what lies above, HU (ours: between fat and the foam of a head-holder)."""

BONE_HU = 300.0
"""Brighter is all the same for the symmetry of the head, HU (ours)."""

COARSE_MM, COARSE_SIZE = 4.0, 64
"""Pixel size and side of the images in which the head's outline and symmetry are sought, mm and pixels (ours)."""

MAX_TURN_DEG = 30.0
"""A head lies turned by no more than this (ours)."""


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One 26-connected component of a mask."""

    label: int
    """1 for the largest lesion, 2 for the next, …"""

    volume_ml: float
    """Voxels times voxel volume, mL."""

    abc2_ml: float
    """A · B · C / 2 (Kothari et al. 1996), mL."""

    diameters_mm: tuple[float, float, float]
    """(A, B, C) mm: A the largest diameter in the slice of largest area, B the largest at a right angle to it in the
    same slice, C the slice distance times the number of slices, each counted 1 if its area is above 75 % of that
    slice's, 0.5 from 25 to 75 %, 0 below (Kothari et al. 1996)."""

    mean_hu: float
    """Mean of the image over the lesion, HU."""

    bounding_slices: tuple[int, int]
    """First and last slice, both included, counted from 0 on the array axis closest to superior-inferior."""

    centroid_mm: tuple[float, float, float]
    """Centre of mass, RAS+ mm (x, y, z)."""

    side: Side
    """The patient's side, relative to the head's own midline (see :class:`Midline`)."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """All lesions of one mask."""

    volume_ml: float
    """Of the whole mask, mL."""

    lesions: tuple[Lesion, ...]
    """Largest first; empty for a scan without hemorrhage."""


def measure(mask: np.ndarray, volume: Volume, midline: "Midline | None" = None) -> Measurement:
    """Measure every lesion of a mask.

    Args:
        mask: (I, J, K) integer or bool on the volume's grid, lesion where not 0.
        volume: the image the mask belongs to, HU.
        midline: of that image, where it is known already; most of the time goes into it.

    Returns:
        Volumes in mL, diameters and positions in mm; lesions sorted by volume, largest first.

    Raises:
        GeometryError: mask and image differ in shape, or the image has no axial slices.
    """
    if mask.shape != volume.shape:
        raise GeometryError(
            f"the mask has shape {mask.shape}, its image {volume.shape}: measure a mask on its own image"
        )
    foreground = mask != 0
    if not foreground.any():
        return Measurement(volume_ml=0.0, lesions=())
    midline = midline or Midline(volume)
    components = sorted(Components.of(foreground).places(), key=len, reverse=True)
    lesions = tuple(_measure_lesion(label, voxels, volume, midline) for label, voxels in enumerate(components, start=1))
    return Measurement(volume_ml=sum(map(len, components)) * volume.voxel_ml, lesions=lesions)


def _measure_lesion(label: int, voxels: np.ndarray, volume: Volume, midline: "Midline") -> Lesion:
    """``voxels`` is (n, 3) int, the array indices of one lesion."""
    axis = AxialGrid.of(volume).axes[0]
    slices = voxels[:, axis]
    first, last = int(slices.min()), int(slices.max())
    diameters = _abc(voxels, axis, volume.affine)
    x, y, z = (volume.affine[:3, :3] @ voxels.mean(axis=0) + volume.affine[:3, 3]).tolist()
    return Lesion(
        label=label,
        volume_ml=len(voxels) * volume.voxel_ml,
        abc2_ml=float(np.prod(diameters)) / 2.0 / 1000.0,
        diameters_mm=diameters,
        mean_hu=float(volume.array[tuple(voxels.T)].mean(dtype=np.float64)),
        bounding_slices=(first, last),
        centroid_mm=(x, y, z),
        side=midline.side((x, y, z), (first, last)),
    )


def _abc(voxels: np.ndarray, axis: int, affine: np.ndarray) -> tuple[float, float, float]:
    """(n, 3) array indices of a lesion → Kothari's A, B and C in mm."""
    areas = np.bincount(voxels[:, axis])
    share = areas / areas.max()
    weight = (share > 0.75).sum() + 0.5 * ((share >= 0.25) & (share <= 0.75)).sum()
    in_plane = np.delete(affine[:3, :3], axis, axis=1)
    slice_distance = abs(np.linalg.det(affine[:3, :3])) / np.linalg.norm(np.cross(in_plane[:, 0], in_plane[:, 1]))
    largest = voxels[voxels[:, axis] == areas.argmax()]
    a, b = _diameters(np.delete(largest, axis, axis=1), in_plane)
    return a, b, float(weight * slice_distance)


def _diameters(pixels: np.ndarray, in_plane: np.ndarray) -> tuple[float, float]:
    """Largest diameter of a plane region, and the largest chord at a right angle to it, in mm.

    A pixel counts as the ellipse inscribed in it, so that one square pixel is as wide as its side in any direction.

    Args:
        pixels: (n, 2) int array indices.
        in_plane: (3, 2) mm steps along the two array axes, not necessarily at a right angle.
    """
    steps = np.linalg.qr(in_plane).R  # the same two steps in an orthonormal frame of their plane
    points = pixels @ steps.T
    angles = np.linspace(0.0, np.pi, 360, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    pixel_width = np.linalg.norm(steps.T @ directions, axis=0)
    widths = np.ptp(points @ directions, axis=0) + pixel_width
    longest = int(widths.argmax())
    along, across = points @ directions[:, longest], points @ directions[:, (longest + 180) % 360]
    strips = np.round((along - along.min()) / pixel_width[longest]).astype(int)
    index = np.unique(strips)
    chords = ndimage.maximum(across, strips, index) - ndimage.minimum(across, strips, index)
    return float(widths[longest]), float(chords.max() + pixel_width[(longest + 180) % 360])


class Midline:
    """The patient's left-right midline: the line about which axial slices of the head mirror themselves best.

    The head may lie off-centre, turned or tilted in the scanner. Its turn (about superior-inferior) is sought over all
    slices together; where the midline passes is sought in the slices of the lesion itself, which follows a tilt to
    the side. With no head in view the middle of the image stands in for it.
    """

    def __init__(self, volume: Volume) -> None:
        self._grid = AxialGrid.of(volume)
        heads = _coarse_heads(self._grid, volume.array)
        filled = np.flatnonzero(heads.any(axis=(1, 2)))
        some = heads[filled[:: max(1, len(filled) // 16)]]
        self._turn = _best_turn(some) if len(some) else 0.0
        self._mirrored = _self_mirrored(_turned(heads, self._turn))

    def offset_mm(self, position_mm: tuple[float, float, float], slices: tuple[int, int]) -> float:
        """Distance of an RAS+ position from the midline, mm, positive to the patient's right.

        ``slices`` are the first and last axial slice of the structure the position belongs to.
        """
        depth = len(self._mirrored)
        first, last = (depth - 1 - slices[1], depth - 1 - slices[0]) if self._grid.flips[0] else slices
        score = self._mirrored[first : last + 1].sum(axis=0)
        if not score.any():
            score = self._mirrored.sum(axis=0)
        # column c mirrors to column s - c, so that the midline passes at s / 2
        midline = (_peak(score) / 2 - (COARSE_SIZE - 1) / 2) * COARSE_MM if score.any() else 0.0
        middle = (self._grid.steps @ ((np.array(self._grid.axial_shape) - 1) / 2))[1:]
        place = (self._grid.frame @ (np.asarray(position_mm) - self._grid.origin))[1:] - middle
        leftward = np.array([-np.sin(self._turn), np.cos(self._turn)])
        return float(midline - place @ leftward)

    def side(self, position_mm: tuple[float, float, float], slices: tuple[int, int]) -> Side:
        """The side of a position; within :data:`MIDLINE_TOLERANCE_MM` of the midline it is "midline"."""
        offset = self.offset_mm(position_mm, slices)
        if abs(offset) < MIDLINE_TOLERANCE_MM:
            return "midline"
        return "right" if offset > 0 else "left"


def _coarse_heads(grid: AxialGrid, array: np.ndarray) -> np.ndarray:
    """(I, J, K) HU → (Z, COARSE_SIZE, COARSE_SIZE) float, slices about the image's middle, 0 outside the head."""
    to_index = np.linalg.inv(grid.steps[1:, 1:])
    middle = (grid.steps @ ((np.array(grid.axial_shape) - 1) / 2))[1:]
    matrix = np.eye(3)
    matrix[1:, 1:] = to_index * COARSE_MM
    matrix[1:, 0] = -to_index @ grid.steps[1:, 0]
    corner = middle - (COARSE_SIZE - 1) / 2 * COARSE_MM
    hu = ndimage.affine_transform(
        grid.axial(array),
        matrix,
        offset=np.array([0.0, *(to_index @ corner)]),
        output_shape=(grid.axial_shape[0], COARSE_SIZE, COARSE_SIZE),
        order=1,
        cval=-1000.0,
    )
    heads = head_outline(hu) * (hu.clip(TISSUE_HU, BONE_HU) - TISSUE_HU)
    return ndimage.gaussian_filter(heads, (0, 1, 1))  # so that turning, which smooths, does not look like agreement


def _turned(images: np.ndarray, turn: float) -> np.ndarray:
    """(Z, N, N) → the same turned in plane by `turn` rad about the middle."""
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    middle = (np.array(images.shape) - 1) / 2
    return ndimage.affine_transform(images, matrix, offset=middle - matrix @ middle, order=1)


def _self_mirrored(images: np.ndarray) -> np.ndarray:
    """(Z, N, N) → (Z, 2 N): each image's agreement with itself after column c has become column s - c, for every s."""
    length = 2 * images.shape[-1]
    spectrum = np.fft.rfft(images, length, axis=-1)
    return np.fft.irfft((spectrum**2).sum(axis=1), length, axis=-1)


def _best_turn(images: np.ndarray) -> float:
    """Angle in rad at which the images mirror themselves best; where it makes no difference, the smaller."""

    def score(degrees: float) -> float:
        turned = _turned(images, np.radians(degrees))
        mirrored = _self_mirrored(turned).max(axis=-1).sum() / (turned**2).sum()
        return float(mirrored - 0.01 * (degrees / MAX_TURN_DEG) ** 2)

    best = max(np.arange(-MAX_TURN_DEG, MAX_TURN_DEG + 1, 5.0), key=score)
    return float(np.radians(max(best + np.arange(-4.0, 5.0), key=score)))


def _peak(score: np.ndarray) -> float:
    """Where a curve is highest, between its samples by a parabola."""
    top = int(np.clip(score.argmax(), 1, len(score) - 2))
    left, middle, right = score[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return top + (0.5 * (left - right) / bend if bend < 0 else 0.0)


def head_outline(hu: np.ndarray) -> np.ndarray:
    """(Z, H, W) axial slices in HU, pixels of about :data:`COARSE_MM` → bool, the head, filled.

    Tubes, ears and head-holder are left out; exactly 0 HU counts as stripped background.
    """
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[[0, 2]] = False
    tissue = (hu > TISSUE_HU) & (hu != 0)
    filled = np.stack([ndimage.binary_fill_holes(part) for part in tissue])
    opened = ndimage.binary_opening(filled, in_plane)
    components, count = ndimage.label(opened)
    if count == 0:
        return filled
    return components == 1 + np.bincount(components.ravel())[1:].argmax()
