"""From any grid to 1 mm, 240 × 240 axial slices, and back to exactly the voxels that came in.

A slice image is seen as radiologists see it: row 0 is anterior, column 0 is the patient's right; slices ascend from
inferior to superior. Slices are kept in their native plane, so a tilted gantry or an oblique scan is not interpolated
through-plane; the shift of each slice against the next is part of the mapping.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from amd_das.errors import GeometryError
from amd_das.volume import Volume

SIZE: Final = 240
"""Rows and columns of a slice (paper)."""

PIXEL_MM: Final = 1.0
"""Pixel size of a slice, mm: that of the source MRI (ours, METHOD: a lesion has one size in both domains)."""

UNKNOWN_SLICE_MM: Final = 5.0
"""Slice distance taken for a volume without a voxel size, mm: the usual one (ours)."""

_FIELD_MM = SIZE * PIXEL_MM
_CHUNK = 16  # slices resampled at once, to bound the memory
_DISPLAY_AXES = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])  # rows: up, back, patient's left (RAS)


@dataclass(frozen=True, kw_only=True, eq=False)
class AxialGrid:
    """Where the voxels of one volume lie on 1 mm axial slices. Build it with :meth:`of`."""

    shape: tuple[int, int, int]
    """(I, J, K) of the volume."""

    axes: tuple[int, int, int]
    """Which array axis runs through the slices, down the rows, along the columns."""

    flips: tuple[bool, bool, bool]
    """Whether each of `axes` is stored the other way round."""

    origin: np.ndarray
    """(3,) RAS mm of the first voxel of the axial array."""

    frame: np.ndarray
    """(3, 3) orthonormal rows in RAS: slice normal (up), down the rows (back), along the columns (patient's left)."""

    steps: np.ndarray
    """(3, 3) mm in `frame` (rows) moved by one slice, one row, one column of the axial array (columns)."""

    slab: int = 1
    """How many native slices are averaged into one."""

    centre_mm: tuple[float, float] = (0.0, 0.0)
    """What lies in the middle of a slice: mm (row, column) in `frame` from the first voxel."""

    spacing_known: bool = True
    """False where the pixel size was absent or impossible and the field of view was scaled to 240 pixels instead."""

    @classmethod
    def of(cls, volume: Volume, slab_mm: float = 0.0, spacing_known: bool | None = None) -> "AxialGrid":
        """The grid of a volume, centred on the middle of the image.

        Args:
            volume: any orientation; its array is not touched.
            slab_mm: thinner slices are averaged to about, and not more than, this many mm; 0 keeps every slice.
            spacing_known: False to disregard the voxel size; by default what the volume says.

        Raises:
            GeometryError: the affine is singular, or a single slice is not axial.
        """
        known = volume.spacing_known if spacing_known is None else spacing_known
        linear = np.asarray(volume.affine[:3, :3], np.float64)
        lengths = np.linalg.norm(linear, axis=0)
        if not np.isfinite(volume.affine).all() or not np.abs(np.linalg.det(linear / np.maximum(lengths, 1e-9))) > 0.05:
            raise GeometryError(
                f"the affine {np.asarray(volume.affine).tolist()} does not span three directions; "
                "expected voxel axes with lengths in mm. Export the scan again with its geometry."
            )
        directions = linear / lengths
        cosines = _DISPLAY_AXES @ directions  # (display axis, array axis)
        score = np.abs(cosines)
        thin = [axis for axis, length in enumerate(volume.shape) if length == 1]
        if not volume.spacing_known and len(thin) == 1:
            score[0, thin[0]] = 2.0  # without geometry the axis of length 1 runs through the slice
        _, columns = linear_sum_assignment(-score)
        axes = int(columns[0]), int(columns[1]), int(columns[2])
        if len(thin) == 1 and thin[0] != axes[0]:
            plane = "coronal" if thin[0] == axes[1] else "sagittal"
            raise GeometryError(f"the only slice is {plane}; expected an axial one. Send an axial slice or a volume.")
        flips = (bool(cosines[0, axes[0]] < 0), bool(cosines[1, axes[1]] < 0), bool(cosines[2, axes[2]] < 0))
        corner = [volume.shape[a] - 1 if flip else 0 for a, flip in sorted(zip(axes, flips, strict=True))]
        basis = linear[:, axes] * np.where(flips, -1.0, 1.0)
        if not known:
            longest = max(volume.shape[axes[1]], volume.shape[axes[2]])
            basis = directions[:, axes] * np.where(flips, -1.0, 1.0)
            basis = basis * np.array([UNKNOWN_SLICE_MM, _FIELD_MM / longest, _FIELD_MM / longest])
        frame = _orthonormal_frame(basis)
        steps = frame @ basis
        steps[0, 1:] = 0.0  # rows and columns stay in the slice; what is left is rounding
        thickness = float(steps[0, 0])
        grid = cls(
            shape=volume.shape,
            axes=axes,
            flips=flips,
            origin=np.asarray(volume.affine, np.float64)[:3] @ np.array([*corner, 1.0]),
            frame=frame,
            steps=steps,
            slab=max(1, int(slab_mm / thickness + 1e-3)) if slab_mm > 0 else 1,
            spacing_known=known,
        )
        middle = steps @ ((np.array(grid.axial_shape) - 1) / 2)
        return replace(grid, centre_mm=(float(middle[1]), float(middle[2])))

    @property
    def axial_shape(self) -> tuple[int, int, int]:
        """Native slices, rows and columns of the axial array."""
        through, down, along = self.axes
        return self.shape[through], self.shape[down], self.shape[along]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(dz, dy, dx) mm of the axial array: the distance of slice planes, and the lengths of a pixel."""
        dy, dx = np.linalg.norm(self.steps[:, 1:], axis=0)
        return float(self.steps[0, 0]), float(dy), float(dx)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel of the volume in mL, by the pixel size in use."""
        return float(abs(np.linalg.det(self.steps)) / 1000.0)

    @property
    def slices(self) -> int:
        """How many 1 mm slices come out: one per native slice, or per slab."""
        return -(-self.axial_shape[0] // self.slab)

    @property
    def slice_mm(self) -> float:
        """Distance in mm between the slices that come out."""
        return self.spacing_mm[0] * self.slab

    @cached_property
    def affine(self) -> np.ndarray:
        """(4, 4) index (slice, row, column, 1) of the slices that come out to RAS mm."""
        middle = (self.slab - 1) / 2
        corner = np.array([0.0, *self.centre_mm]) - (SIZE - 1) / 2 * PIXEL_MM * np.array([0.0, 1.0, 1.0])
        affine = np.eye(4)
        affine[:3, :3] = self.frame.T * np.array([self.slice_mm, PIXEL_MM, PIXEL_MM])
        affine[:3, 3] = self.origin + self.frame.T @ (corner + np.array([middle * self.steps[0, 0], 0.0, 0.0]))
        return affine

    def axial(self, array: np.ndarray) -> np.ndarray:
        """(I, J, K) → a view (Z, H, W): inferior to superior, anterior to posterior, right to left."""
        if array.shape != self.shape:
            raise GeometryError(f"expected an array of shape {self.shape}, the grid's; got {array.shape}")
        view = array.transpose(self.axes)
        return view[tuple(np.s_[::-1] if flip else np.s_[:] for flip in self.flips)]

    def centred_on(self, mask: np.ndarray) -> "AxialGrid":
        """The same grid with the bounding box of an axial (Z, H, W) bool mask in the middle of the slices."""
        low, high = self.extent_mm(mask)
        return replace(self, centre_mm=(float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2))

    def extent_mm(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest (row, column) mm in `frame` over the voxels of an axial (Z, H, W) bool mask."""
        corners = []
        for z in np.flatnonzero(mask.any(axis=(1, 2))):
            rows, columns = np.flatnonzero(mask[z].any(axis=1)), np.flatnonzero(mask[z].any(axis=0))
            corners += [(z, r, c) for r in (rows[0], rows[-1]) for c in (columns[0], columns[-1])]
        if not corners:
            raise GeometryError("an empty mask has no extent; expected at least one voxel")
        points = (np.array(corners, np.float64) @ self.steps.T)[:, 1:]
        return points.min(axis=0), points.max(axis=0)

    def forward(self, array: np.ndarray, order: int = 1) -> np.ndarray:
        """Resample to the slices: (I, J, K) of any real dtype → (slices, 240, 240) float32, 0 outside the image.

        Args:
            array: on the volume's grid.
            order: 1 for linear interpolation averaged over each 1 mm pixel, 0 for the nearest pixel (labels; slabs
                are then averaged as well, and the mean is at least one half where most of it is set).
        """
        return self.forward_axial(self.axial(array), order)

    def forward_axial(self, native: np.ndarray, order: int = 1) -> np.ndarray:
        """:meth:`forward` for an array that is axial already, (Z, H, W); fastest where its rows are contiguous."""
        if order not in (0, 1):
            raise ValueError(f"order {order}: expected 0 (nearest) or 1 (linear)")
        out = np.empty((self.slices, SIZE, SIZE), np.float32)
        samples = [max(1, round(PIXEL_MM / size)) if order else 1 for size in self.spacing_mm[1:]]
        points = _positions((SIZE, SIZE), samples) * PIXEL_MM + self._corner_mm()
        to_index = np.linalg.inv(self.steps[1:, 1:])
        for part in self._chunks(self.slices):
            images = [native[z * self.slab : (z + 1) * self.slab] for z in part]
            stack = np.stack([i[0] if len(i) == 1 else i.mean(axis=0) for i in images]).astype(np.float32, copy=False)
            shift = self._shift_mm(part[0] * self.slab + (self.slab - 1) / 2)
            fine = _sample(stack, (points - shift) @ to_index.T, order)
            out[part] = torch.nn.functional.avg_pool2d(fine, samples).numpy()
        return out

    def backward(self, slices: np.ndarray) -> np.ndarray:
        """Resample from the slices: (slices, 240, 240) float → (I, J, K) float32, linear, 0 outside their field."""
        out = np.empty(self.shape, np.float32)
        self.axial(out)[...] = self.backward_axial(slices)
        return out

    def backward_axial(self, slices: np.ndarray) -> np.ndarray:
        """:meth:`backward`, but left axial, (Z, H, W)."""
        expected = (self.slices, SIZE, SIZE)
        if slices.shape != expected:
            raise GeometryError(f"expected slices of shape {expected}, the grid's; got {slices.shape}")
        depth, height, width = self.axial_shape
        out = np.zeros((depth, height, width), np.float32)
        position = ((np.arange(depth) - (self.slab - 1) / 2) / self.slab).clip(0.0, self.slices - 1.0)
        below = position.astype(int)
        above = np.minimum(below + 1, self.slices - 1)
        share = (position - below).astype(np.float32)[:, None, None]
        points = _positions((height, width), [1, 1]) @ self.steps[1:, 1:].T - self._corner_mm()
        for part in self._chunks(depth):
            stack = (1 - share[part]) * slices[below[part]] + share[part] * slices[above[part]]
            if stack.any():
                index = (points + self._shift_mm(part[0])) / PIXEL_MM
                out[part] = _sample(stack.astype(np.float32, copy=False), index, 1).numpy()
        return out

    def position_mm(self, voxels: np.ndarray) -> np.ndarray:
        """(n, 3) voxel numbers of the volume → (n, 3) mm in `frame` (up, back, left) from the first axial voxel."""
        return self._axial_voxels(voxels) @ self.steps.T

    def slice_index(self, voxels: np.ndarray) -> np.ndarray:
        """(n, 3) voxel numbers of the volume → (n, 3) fractional (slice, row, column) of the slices that come out."""
        return self.axial_index(self._axial_voxels(voxels))

    def axial_index(self, voxels: np.ndarray) -> np.ndarray:
        """:meth:`slice_index` of voxels of the axial array."""
        position = np.asarray(voxels, np.float64) @ self.steps.T
        slices = (position[:, :1] / self.steps[0, 0] - (self.slab - 1) / 2) / self.slab
        return np.concatenate([slices, (position[:, 1:] - self._corner_mm()) / PIXEL_MM], axis=1)

    def _axial_voxels(self, voxels: np.ndarray) -> np.ndarray:
        """(n, 3) voxel numbers of the volume → of the axial array."""
        axial = np.asarray(voxels, np.float64)[:, self.axes]
        return np.where(self.flips, np.array(self.axial_shape) - 1 - axial, axial)

    def _chunks(self, count: int) -> list[np.ndarray]:
        """Slice numbers in groups that are resampled at once: one by one where each lies aside of the last."""
        size = 1 if np.abs(self.steps[1:, 0]).max() > 1e-6 else _CHUNK
        return [np.arange(first, min(first + size, count)) for first in range(0, count, size)]

    def _corner_mm(self) -> np.ndarray:
        """(2,) mm (row, column) in `frame` of the first pixel of a slice."""
        return np.array(self.centre_mm) - (SIZE - 1) / 2 * PIXEL_MM

    def _shift_mm(self, z: float) -> np.ndarray:
        """(2,) mm (row, column) by which native slice z lies aside of slice 0: not 0 on sheared grids."""
        return self.steps[1:, 0] * z


def _orthonormal_frame(basis: np.ndarray) -> np.ndarray:
    """(3, 3) columns slice, row, column step → (3, 3) orthonormal rows: normal, and the nearest in-plane axes."""
    left, _, right = np.linalg.svd(basis[:, 1:] / np.linalg.norm(basis[:, 1:], axis=0), full_matrices=False)
    down, along = (left @ right).T
    normal = np.cross(down, along)
    normal /= np.linalg.norm(normal)
    return np.stack([normal if normal @ basis[:, 0] > 0 else -normal, down, along])


def _positions(shape: tuple[int, int], samples: list[int]) -> np.ndarray:
    """(H·sy, W·sx, 2) float64 row and column numbers, of sy × sx samples spread evenly over each pixel."""
    axes = [(np.arange(n * s) + 0.5) / s - 0.5 for n, s in zip(shape, samples, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _sample(images: np.ndarray, index: np.ndarray, order: int) -> torch.Tensor:
    """(Z, H, W) float32 images, all at the same (h, w, 2) fractional row and column numbers → (Z, h, w); 0 outside."""
    normalised = torch.from_numpy((((2 * index + 1) / images.shape[1:] - 1)[..., ::-1]).astype(np.float32))
    return torch.nn.functional.grid_sample(
        torch.from_numpy(images)[None],
        normalised[None],
        mode="bilinear" if order else "nearest",
        padding_mode="zeros",
        align_corners=False,
    )[0]
