"""Whether the values of a volume are those of a head CT in HU.

The criterion is physical: grey and white matter lie at 25-41 HU on every scanner, so the most frequent soft-tissue
value of a head CT lies at 15-60 HU, whatever window its values were clipped to. An MR has arbitrary values, and an
8-bit export of a brain window shows brain at about 110.
"""

import numpy as np

from amd_das.errors import GeometryError, NotHeadCtError
from amd_das.volume import Volume

TISSUE_MODE_HU = (15.0, 60.0)
"""Where the most frequent soft-tissue value of a head CT lies, HU (ours: edema to muscle, brain being 25-41)."""

BRAIN_MEDIAN_HU = (8.0, 60.0)
"""Where the median inside an extracted brain lies, HU; low with wide ventricles or edema (ours)."""

_MAX_SAMPLES = 2_000_000
_LEAST_TISSUE = 0.002
_MOST_OF_THE_EDGE = 0.6
_CLIPPED_BELOW_HU = 300.0
_ADVICE = "Send the original CT series, in HU, not an MR or a windowed 8-bit export."


def check_head_ct(volume: Volume) -> Volume:
    """Refuse what cannot be a head CT in HU by its values alone; warn about what is unusual.

    Args:
        volume: any orientation; skull, air and padding may be there, clipped or stripped.

    Returns:
        The volume, with a warning when its values were clipped to a window.

    Raises:
        GeometryError: not three-dimensional, or empty.
        NotHeadCtError: NaN or infinite values, one constant value, no soft tissue, or soft tissue at values that brain
            never has.
    """
    array = volume.array
    if array.ndim != 3 or array.size == 0:
        raise GeometryError(
            f"expected a three-dimensional image, (I, J, K) with at least one voxel; got shape {array.shape}. "
            "Send one volume or one slice."
        )
    if not np.isfinite(array.sum(dtype=np.float64)):
        bad = int(array.size - np.isfinite(array).sum())
        raise NotHeadCtError(f"{bad} voxels are NaN or infinite; expected HU. {_ADVICE}")
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise NotHeadCtError(f"every voxel is {low:g}; expected a head CT. {_ADVICE}")
    values = array.reshape(-1)[:: 1 + array.size // _MAX_SAMPLES]
    tissue = float(np.mean((values > low + 1e-3) & (values > 2) & (values < 100)))
    mode = _tissue_mode(values, low, high)
    if low >= 0 and (mode is None or not TISSUE_MODE_HU[0] <= mode <= TISSUE_MODE_HU[1]):
        seen = "nothing lies in between" if mode is None else f"the most frequent foreground value is {mode:.0f}"
        raise NotHeadCtError(
            f"values run from {low:g} to {high:g} and {seen}; expected HU with brain at "
            f"{TISSUE_MODE_HU[0]:.0f}-{TISSUE_MODE_HU[1]:.0f}. {_ADVICE}"
        )
    if tissue < _LEAST_TISSUE:
        raise NotHeadCtError(
            f"only {100 * tissue:.2f} % of the voxels lie between 2 and 100 HU (values run from {low:g} to {high:g}); "
            f"expected a brain in view. {_ADVICE}"
        )
    if high <= _CLIPPED_BELOW_HU:
        return volume.with_warnings(
            f"The values end at {high:g} HU: they were clipped to a window, or the skull was removed. "
            "Denser structures cannot be told apart."
        )
    return volume


def check_brain(hu: np.ndarray, brain: np.ndarray) -> None:
    """Refuse an extracted brain that cannot be one.

    Args:
        hu: (Z, H, W) axial slices, HU.
        brain: (Z, H, W) bool, at least one voxel.

    Raises:
        NotHeadCtError: it is the image's background, or its median is not that of brain but of water, fat, or grey
            values of an export.
    """
    slices = brain[brain.any(axis=(1, 2))]
    edge = np.mean([slices[:, 0].mean(), slices[:, -1].mean(), slices[:, :, 0].mean(), slices[:, :, -1].mean()])
    median = float(np.median(hu[brain]))
    if edge > _MOST_OF_THE_EDGE:
        raise NotHeadCtError(
            f"the background has a median of {median:.0f}, like tissue; expected air (-1000 HU) around a head. "
            f"{_ADVICE}"
        )
    if not BRAIN_MEDIAN_HU[0] <= median <= BRAIN_MEDIAN_HU[1]:
        raise NotHeadCtError(
            f"what the skull encloses has a median of {median:.0f}; expected brain, "
            f"{BRAIN_MEDIAN_HU[0]:.0f}-{BRAIN_MEDIAN_HU[1]:.0f} HU. {_ADVICE}"
        )


def _tissue_mode(values: np.ndarray, low: float, high: float) -> float | None:
    """The most frequent value between background and the clipped top, in bins of 1; None where there is none."""
    foreground = values[(values > max(low, -200.0) + 1.0) & (values < high - 1.0)]
    if foreground.size == 0:
        return None
    top = min(float(np.percentile(foreground, 99.5)), 10_000.0)
    counts, edges = np.histogram(foreground, bins=np.arange(np.floor(foreground.min()), top + 2.0))
    smooth = np.convolve(counts, np.ones(5) / 5.0, mode="same") if len(counts) >= 5 else counts
    return float(edges[int(np.argmax(smooth))] + 0.5)
