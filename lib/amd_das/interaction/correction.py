"""A mask, corrected by marks: near them, by HU and probability together, and always as they say."""

import threading
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from amd_das.errors import GeometryError
from amd_das.inference.postprocess import drop_small
from amd_das.interaction.config import InteractionConfig
from amd_das.interaction.evidence import Evidence
from amd_das.interaction.marks import Marks
from amd_das.interaction.region import Region, grown, taken_away
from amd_das.interaction.travel import FAR

_EDGE_PX = 2
"""Pixels beyond what a mark changes within which the new outline may run, for it to be smooth (ours)."""


def _shorten(ways: np.ndarray, region: Region) -> None:
    """(Z, 240, 240) ways, where a region's are shorter."""
    np.minimum(ways[region.box], region.way, out=ways[region.box])


class Corrector:
    """Corrects one mask of one scan; what a mark adds is kept, so that each further one costs only itself."""

    def __init__(self, evidence: Evidence, start: np.ndarray, config: InteractionConfig | None = None) -> None:
        """Take a mask to correct.

        Args:
            evidence: of the scan.
            start: (I, J, K) on the volume's grid, hemorrhage where not 0; zeros to begin from nothing.
            config: settings.

        Raises:
            GeometryError: the mask is not on the volume's grid.
        """
        if start.shape != evidence.volume.shape:
            raise GeometryError(
                f"the mask has shape {start.shape}, its image {evidence.volume.shape}; export it on the image's grid"
            )
        self.evidence = evidence
        self.config = config or evidence.config
        self.start = (start != 0).astype(np.uint8)
        self._start = evidence.grid.forward(self.start) >= 0.5 if start.any() else np.zeros(evidence.hu.shape, bool)
        self._grown: dict[bytes, Region] = {}
        self._lock = threading.Lock()

    def correct(self, marks: Marks) -> np.ndarray:
        """The mask after all the marks; the same marks in any order give the same.

        Returns:
            (I, J, K) uint8 on the volume's grid. Every foreground voxel of the marks is in it, no background voxel is,
            and nothing farther than ``config.radius_mm`` from every mark differs from the mask at the start.
        """
        if not marks:
            return self.start.copy()
        mask, shape = self._start.copy(), self._start.shape
        foreground = self._on_slices(marks.foreground)
        to_foreground, to_background = np.full(shape, FAR), np.full(shape, FAR)
        for seeds in foreground:
            _shorten(to_foreground, self._growth(seeds))
        mask |= to_foreground < FAR
        kept = np.concatenate([np.zeros((0, 3), np.int64), *foreground])
        for seeds in self._on_slices(marks.background):
            if (gone := taken_away(seeds, kept, mask, self.evidence, self.config)) is not None:
                _shorten(to_background, gone)
        return self._on_volume(mask & ((to_background >= FAR) | (to_foreground <= to_background)), marks)

    def _on_slices(self, marks: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        """Voxels of the slices in which marks lie; marks beside the slices' field are left out."""
        shape = self.evidence.hu.shape
        found = []
        for mark in marks:
            index = np.floor(self.evidence.grid.slice_index(mark) + 0.5).astype(np.int64)
            index[:, 0] = index[:, 0].clip(0, shape[0] - 1)
            index = np.unique(index[((index >= 0) & (index < shape)).all(axis=1)], axis=0)
            if len(index):
                found.append(index)
        return found

    def _growth(self, seeds: np.ndarray) -> Region:
        key = seeds.tobytes()
        if key not in self._grown:
            region = grown(seeds, self._start, self.evidence, self.config)
            with self._lock:
                self._grown[key] = region
        return self._grown[key]

    def _on_volume(self, wanted: np.ndarray, marks: Marks) -> np.ndarray:
        """(Z, 240, 240) bool as a mask of the volume, which stays as it was where the slices did."""
        result = self.start.copy()
        changed = wanted ^ self._start
        if changed.any():
            edge = ndimage.binary_dilation(changed, np.ones((1, 3, 3), bool), iterations=_EDGE_PX)
            box, near = self._resampled(edge, edge)
            _, inside = self._resampled(edge, wanted)
            part = self.evidence.grid.axial(result)[box]
            part[near > 0] = inside[near > 0] >= 0.5
            self._drop_crumbs(result)
        self._keep_far(result, marks)
        result[tuple(marks.voxels(foreground=True).T)] = 1
        result[tuple(marks.voxels(foreground=False).T)] = 0
        return result

    def _resampled(self, around: np.ndarray, slices: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
        """Slices on the volume's grid, linear in between, but only there where ``around`` is.

        Returns:
            The part of the axial array of the volume, and (z, h, w) float32 of its shape.
        """
        grid = self.evidence.grid
        corner = grid.axial_index(np.zeros((1, 3)))  # an axial voxel's place in the slices is affine, sheared scans too
        matrix = (grid.axial_index(np.eye(3)) - corner).T
        found = ndimage.find_objects(around.astype(np.int8))[0]
        ends = np.array([[part.start - 1, part.stop] for part in found])
        corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
        reach = (corners - corner) @ np.linalg.inv(matrix).T
        low = np.floor(reach.min(axis=0)).astype(int).clip(0, grid.axial_shape)
        high = (np.ceil(reach.max(axis=0)).astype(int) + 1).clip(0, grid.axial_shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        resampled = ndimage.affine_transform(
            slices.astype(np.float32),
            matrix,
            offset=corner[0] + matrix @ low,
            output_shape=tuple(high - low),
            order=1,
            mode="nearest",
        )
        return box, resampled

    def _drop_crumbs(self, result: np.ndarray) -> None:
        """Remove small pieces that were part of something larger at the start."""
        result[self._small(result) & ~self._small_at_start] = 0

    def _small(self, mask: np.ndarray) -> np.ndarray:
        kept = drop_small(mask != 0, self.evidence.grid.voxel_ml, self.config.crumb_ml)
        return (mask != 0) & ~kept

    @cached_property
    def _small_at_start(self) -> np.ndarray:
        return self._small(self.start)

    def _keep_far(self, result: np.ndarray, marks: Marks) -> None:
        """Undo what differs from the start farther than the radius from every mark."""
        differs = np.argwhere(result != self.start)
        if not len(differs):
            return
        position = self.evidence.grid.position_mm
        voxels = np.concatenate([marks.voxels(foreground=True), marks.voxels(foreground=False)])
        distance, _ = cKDTree(position(voxels)).query(position(differs))
        far = tuple(differs[distance > self.config.radius_mm].T)
        result[far] = self.start[far]
