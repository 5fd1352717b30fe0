"""The slices of one case: which of a volume's are taken, on what grid, in what grey values."""

import logging
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes

from amd_das import __version__
from amd_das.datasets import CaseFiles, at_hand
from amd_das.datasets.folders import SUBTYPES, Subtype
from amd_das.datasets.volumes import read_image, read_mask, sha256
from amd_das.errors import AmdDasError, ConfigError, InputError, PacsCredentialsError, PacsUnreachableError
from amd_das.preprocessing import AxialGrid, PreprocessConfig, preprocess
from amd_das.preprocessing.grid import PIXEL_MM
from amd_das.slices.index import CaseSlices, Domain
from amd_das.slices.store import lesion_pixels
from amd_das.volume import Volume

logger = logging.getLogger(__name__)

SOURCE_FRAME: Final = 155
"""Slices of a Decathlon volume, in which `source_slices` are counted (paper)."""

FRAME_BRAIN: Final = (3, 143)
"""First and last slice of a usual brain in that frame (ours: BraTS brains are about 140 mm high)."""

LARGEST_BRAIN_ML: Final = 2500.0
"""More than this above 0 in an MRI means that its skull is still there, mL (ours; brains have 1000-1900)."""

_LEAST_BACKGROUND = 0.2
_TRACE = 1e-3  # of a slice of interest in a slab of several


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Which slices are kept, and how they are scaled."""

    source_slices: tuple[int, int] = (60, 99)
    """First and last slice taken of an MRI, from 0, in a volume of 155 (paper). In any other volume those at the same
    heights of its brain."""

    every: int = 1
    """Of the slices to be taken every n-th is (paper: all)."""

    least_brain_px: int = 1500
    """Slices with fewer pixels of brain are left out, of 240 × 240 (ours)."""

    mri_percentile: float = 99.5
    """This percentile of the brain's intensities becomes 255, percent (ours)."""

    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    """How a CT is preprocessed: as for inference."""

    least_slices: int = 20
    """With fewer in the end there is nothing to train on (ours: the paper draws among the 20 nearest CTs)."""

    lesions_needed: bool = True
    """Whether masks that are all empty are an error; for corrections by hand an empty mask is an answer (ours)."""

    subtype: Subtype | None = None
    """Only slices to which the set's own labels give this kind of hemorrhage, where it labels slices (paper: slices
    chosen so that many IPH scenes are covered)."""

    validation_share: float = 0.1
    """Part of the patients that is held out (ours), see :mod:`amd_das.datasets.splits`."""

    official_split: bool = False
    """Whether patients are held out who are in no training part of the set; else some are drawn (ours)."""

    give_up: int = 20
    """When so many cases failed and none was good, the rest is not tried (ours)."""

    def __post_init__(self) -> None:
        first, last = self.source_slices
        if not 0 <= first <= last < SOURCE_FRAME:
            raise ConfigError(
                f"source_slices {self.source_slices}: expected first <= last, within 0-{SOURCE_FRAME - 1}"
            )
        if self.every < 1 or self.least_brain_px < 1 or self.least_slices < 1 or self.give_up < 1:
            raise ConfigError(
                f"every {self.every}, least_brain_px {self.least_brain_px}, least_slices {self.least_slices}, give_up "
                f"{self.give_up}: expected at least 1 of each"
            )
        if self.subtype is not None and self.subtype not in SUBTYPES:
            raise ConfigError(f"subtype {self.subtype!r}: expected one of {', '.join(SUBTYPES)}")
        if not 0.0 <= self.validation_share < 1.0:
            raise ConfigError(f"validation_share {self.validation_share}: expected a part from 0 up to, without, 1")
        if not 50 <= self.mri_percentile <= 100:
            raise ConfigError(f"mri_percentile {self.mri_percentile}: expected 50 to 100")

    def record(self, domain: Domain) -> dict[str, Any]:
        """What decides about the pixels of a domain, for the header of its store."""
        both: dict[str, Any] = {"every": self.every, "least_brain_px": self.least_brain_px}
        if self.subtype is not None:
            both["subtype"] = self.subtype
        if domain == "source":
            return {**both, "source_slices": list(self.source_slices), "mri_percentile": self.mri_percentile}
        return {**both, "preprocess": asdict(self.preprocess)}


class PreparedCase(NamedTuple):
    """What goes into the store."""

    case: CaseSlices
    images: np.ndarray
    """(n, 240, 240) uint8, 0 outside the brain."""

    labels: np.ndarray | None
    """(n, 240, 240) uint8, 0 or 1."""


class _Stack(NamedTuple):
    """Slices of a volume on the 1 mm grid, before those with little brain are left out."""

    first: int
    """Number of the first; the others follow."""

    images: np.ndarray
    """(Z, 240, 240) float32 in [0, 1], 0 outside the brain."""

    brain: np.ndarray
    """(Z, 240, 240) bool."""

    labels: np.ndarray | None
    """(Z, 240, 240) bool."""

    grid: AxialGrid
    warnings: tuple[str, ...]


def prepare_case(files: CaseFiles, domain: Domain, config: PrepareConfig, *, labelled: bool) -> PreparedCase | str:
    """Read and preprocess one case; returns why if that is not possible.

    Raises:
        PacsUnreachableError, PacsCredentialsError: it lies in a PACS that does not answer or let us in.
    """
    try:
        with at_hand(files) as present:
            return _prepare_case(present, domain, config, labelled=labelled)
    except (PacsUnreachableError, PacsCredentialsError):  # the next case would fare no better
        raise
    except AmdDasError as error:
        return str(error)
    except Exception as error:  # one case must not take the others of a long run with it
        logger.exception("%s: unexpected error", files.case)
        return f"unexpected {type(error).__name__}: {error}"


def _prepare_case(files: CaseFiles, domain: Domain, config: PrepareConfig, *, labelled: bool) -> PreparedCase:
    volume = read_image(files)
    mask = read_mask(files, volume) if labelled else None
    stack = (_flair if domain == "source" else _ct)(volume, mask, config)
    area = np.count_nonzero(stack.brain, axis=(1, 2))
    enough = area >= config.least_brain_px
    if config.subtype is not None and files.slice_subtypes and enough.any():
        enough &= _showing(config.subtype, files, volume, stack.grid)
        if not enough.any():
            raise InputError(
                f"no slice with {config.least_brain_px} pixels of brain is labelled {config.subtype.upper()}"
            )
    keep = np.flatnonzero(enough)[:: config.every]
    if len(keep) == 0:
        raise InputError(
            f"no slice shows {config.least_brain_px} pixels (of 1 mm) of brain where slices are taken; of {len(area)} "
            f"the largest has {area.max(initial=0)}. Expected a scan of the head from its base to its top."
        )
    images = np.rint(stack.images[keep] * 255).astype(np.uint8)
    labels = None if stack.labels is None else stack.labels[keep].astype(np.uint8)
    provenance = {"sha256": sha256(files), "modality": "FLAIR" if domain == "source" else "CT", "version": __version__}
    if not files.series:
        provenance["file"] = files.image.name
    if labelled and files.lesion == "any":
        provenance["lesion"] = "hemorrhage of any kind"
    if files.subtypes is not None:
        provenance["subtypes"] = ",".join(sorted(files.subtypes)) or "none"
    if files.split:
        provenance["split"] = files.split
    provenance.update(files.provenance)
    if stack.warnings:
        provenance["warnings"] = " ".join(stack.warnings)
    depth, row, column = stack.grid.spacing_mm
    case = CaseSlices(
        case=files.case,
        patient=files.patient,
        spacing_mm=(round(depth, 4), round(row, 4), round(column, 4)),
        spacing_known=stack.grid.spacing_known,
        numbers=tuple((stack.first + keep).tolist()),
        brain_px=tuple(area[keep].tolist()),
        lesion_px=lesion_pixels(images, labels) if labels is not None or domain == "target" else (0,) * len(keep),
        provenance=provenance,
    )
    return PreparedCase(case, images, labels)


def _showing(subtype: Subtype, files: CaseFiles, volume: Volume, grid: AxialGrid) -> np.ndarray:
    """(Z,) bool: which slices of the grid hold a native slice of that kind."""
    names = [source.path.stem for source in volume.slice_sources] or list(map(str, range(volume.shape[2])))
    told = np.array([subtype in files.slice_subtypes.get(name, ()) for name in names], np.float32)
    return grid.forward(np.broadcast_to(told, volume.shape)).max(axis=(1, 2)) > _TRACE


def _ct(volume: Volume, mask: np.ndarray | None, config: PrepareConfig) -> _Stack:
    done = preprocess(volume, config.preprocess)
    labels = None if mask is None else done.grid.forward(mask) >= 0.5
    return _Stack(0, done.slices, done.brain, labels, done.grid, done.warnings)


def _flair(volume: Volume, mask: np.ndarray | None, config: PrepareConfig) -> _Stack:
    """The slices taken of a skull-stripped FLAIR, 0 … a percentile of its brain on [0, 1]; centred as a CT is."""
    _check_flair(volume)
    grid = AxialGrid.of(volume)
    native = grid.axial(volume.array)
    top = float(np.percentile(native[native > 0], config.mri_percentile))
    first, end = _source_range(np.count_nonzero(native, axis=(1, 2)), config.source_slices)
    native = np.ascontiguousarray(native[first:end])
    brain = np.array([binary_fill_holes(image) for image in native > 0])
    grid = _centred(_part(grid, first, end), brain)
    coverage = grid.forward_axial(brain)
    inside = coverage >= 0.5
    images = grid.forward_axial(native / np.float32(top)) / np.maximum(coverage, 0.5)
    labels = None if mask is None else grid.forward_axial(AxialGrid.of(volume).axial(mask)[first:end]) >= 0.5
    return _Stack(first, np.where(inside, images, np.float32(0.0)).clip(0, 1), inside, labels, grid, volume.warnings)


def _part(grid: AxialGrid, first: int, end: int) -> AxialGrid:
    """The grid of some slices of a volume."""
    shape = list(grid.shape)
    shape[grid.axes[0]] = end - first
    i, j, k = shape
    return replace(grid, shape=(i, j, k), origin=grid.origin + grid.frame.T @ (first * grid.steps[:, 0]))


def _centred(grid: AxialGrid, brain: np.ndarray) -> AxialGrid:
    """Centred on the brain but for a part of a pixel, so that 1 mm images keep their pixels."""
    middle, wanted = np.array(grid.centre_mm), np.array(grid.centred_on(brain).centre_mm)
    row, column = middle + np.rint((wanted - middle) / PIXEL_MM) * PIXEL_MM
    return replace(grid, centre_mm=(float(row), float(column)))


def _check_flair(volume: Volume) -> None:
    array, expected = volume.array, "expected a skull-stripped FLAIR MRI, above 0 in the brain and 0 around it"
    low, high, background = float(array.min()), float(array.max()), float((array == 0).mean())
    if low < 0:
        what = "these are HU, of a CT" if low <= -500 else "negative values"
        raise InputError(
            f"values run from {low:g} to {high:g}: {what}; {expected}. Check that the right files are given."
        )
    if background == 1:
        raise InputError(f"every voxel is 0; {expected}")
    above_ml = (1 - background) * array.size * volume.voxel_ml
    if background < _LEAST_BACKGROUND or (volume.spacing_known and above_ml > LARGEST_BRAIN_ML):
        raise InputError(
            f"{100 * (1 - background):.0f} % of the image, {above_ml:.0f} mL, are above 0; {expected}. "
            "Strip the skull (HD-BET, SynthStrip) first."
        )


def _source_range(area: np.ndarray, wanted: tuple[int, int]) -> tuple[int, int]:
    """First number of the slices taken and the one after the last, by each slice's pixels of brain (Z,)."""
    if len(area) == SOURCE_FRAME:
        return wanted[0], wanted[1] + 1
    low, high = np.flatnonzero(area)[[0, -1]]
    share = (np.array(wanted) - FRAME_BRAIN[0]) / (FRAME_BRAIN[1] - FRAME_BRAIN[0])
    first, last = (low + share * (high - low)).clip(low, high)
    return int(np.rint(first)), int(np.rint(last)) + 1
