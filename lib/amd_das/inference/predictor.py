"""One head CT, from volume to mask and measurement."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import nn

from amd_das.errors import ConfigError
from amd_das.hardware import default_device
from amd_das.inference.network import fastest_dtype, optimised
from amd_das.inference.postprocess import binarise, doubtful_spots, drop_small
from amd_das.measurement import Measurement, measure
from amd_das.models import LoadedModel, ModelInfo
from amd_das.networks.fcn import STRIDE, probabilities
from amd_das.preprocessing.density import behind_fluid, without_bone
from amd_das.preprocessing.grid import PIXEL_MM, SIZE
from amd_das.preprocessing.pipeline import PreprocessConfig, Preprocessed, preprocess
from amd_das.preprocessing.window import to_network
from amd_das.volume import Volume

logger = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction done so far, 0 to 1."""

PRECISIONS: Final[dict[str, torch.dtype | None]] = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}
"""What `InferenceConfig.precision` may be."""

CPU: Final = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How probabilities are computed and turned into a mask."""

    threshold: float = 0.5
    """A voxel is hemorrhage from this probability on (paper)."""

    min_component_ml: float = 0.1
    """Smaller lesions are dropped, mL; 0 keeps all (ours)."""

    sure_from: float = 0.6
    """A spot with a lower mean probability, or settled behind fluid, is left out where the scan has a surer one; 0
    keeps all (ours)."""

    batch_size: int = 8
    """Slices per forward pass (ours)."""

    margin_px: int = 240
    """Pixels, of 1 mm, around the brain that the network sees; 240 for the whole slice (ours; fewer are faster)."""

    flip: bool = True
    """Average with the prediction on the mirrored slice, at twice the time (ours)."""

    precision: str = "auto"
    """"auto" (bfloat16 where the device multiplies it in hardware), "float32" or "bfloat16"."""

    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    """Settings of the preprocessing; those of the training."""

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ConfigError(f"threshold {self.threshold}: expected a probability above 0 and below 1")
        if not 0.0 <= self.min_component_ml < float("inf"):
            raise ConfigError(f"min_component_ml {self.min_component_ml}: expected mL, 0 or more")
        if not 0.0 <= self.sure_from < 1.0:
            raise ConfigError(f"sure_from {self.sure_from}: expected a probability, 0 or more and below 1")
        if self.batch_size < 1 or self.margin_px < 0:
            raise ConfigError(
                f"batch_size {self.batch_size}, margin_px {self.margin_px}: expected at least 1 and at least 0"
            )
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """The result for one volume."""

    mask: np.ndarray
    """(I, J, K) uint8 on exactly the volume's grid, 1 where hemorrhage."""

    measurement: Measurement
    """Volume in mL, and each lesion."""

    model: ModelInfo
    """Which model made it."""

    warnings: tuple[str, ...]
    """What a user should know of the input and of the computation."""

    latencies: dict[str, float]
    """Seconds taken by each step, and "total"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """What a probability map amounts to."""

    mask: np.ndarray
    """(I, J, K) uint8 on the volume's own grid, 1 where hemorrhage."""

    left_out: np.ndarray
    """(I, J, K) bool: what would be in the mask, were it not doubtful."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbabilityMap:
    """What the network says of one volume, before anything is decided."""

    prepared: Preprocessed
    """The slices it saw, and the way from the volume's voxels to them and back."""

    slices: np.ndarray
    """(Z, 240, 240) float32 probabilities in [0, 1] on those slices, 0 outside the brain."""

    warnings: tuple[str, ...]
    """Of the input and of the computation."""

    def on_volume(self) -> np.ndarray:
        """(I, J, K) float32 probabilities in [0, 1] on the volume's own grid, linear in between."""
        return self.prepared.grid.backward(self.slices)

    def believed(self, config: InferenceConfig) -> np.ndarray:
        """(Z, 240, 240) float32, the probabilities, 0 in spots left out because the scan has surer ones."""
        prepared = self.prepared
        doubtful = doubtful_spots(
            self.slices,
            behind_fluid(prepared.slices, prepared.brain),
            config.threshold,
            config.sure_from,
            voxel_ml=prepared.grid.slice_mm * PIXEL_MM**2 / 1000.0,
            least_ml=config.min_component_ml,
        )
        return np.where(doubtful, np.float32(0.0), self.slices)

    def outline(self, config: InferenceConfig) -> Outline:
        """What is bleeding: from the threshold on, without what is doubtful or too small."""
        believed = self.believed(config)
        mask = self._mask(believed, config)
        if (believed == self.slices).all():
            return Outline(mask=mask, left_out=np.zeros(mask.shape, bool))
        return Outline(mask=mask, left_out=self._mask(self.slices, config) > mask)

    def _mask(self, slices: np.ndarray, config: InferenceConfig) -> np.ndarray:
        """(Z, 240, 240) probabilities → (I, J, K) uint8 on the volume's own grid."""
        grid = self.prepared.grid
        mask = np.zeros(grid.shape, np.uint8)
        bleeding = binarise(grid.backward_axial(slices), config.threshold)
        grid.axial(mask)[...] = drop_small(bleeding, grid.voxel_ml, config.min_component_ml)
        return mask

    def doubts(self, left_out: np.ndarray) -> tuple[str, ...]:
        """Where a reader should look for what a mask leaves out as doubtful, (I, J, K) bool; a warning, or none."""
        grid = self.prepared.grid
        slices = np.flatnonzero(left_out.any(axis=grid.axes[1:]))
        if not len(slices):
            return ()
        return (
            "Left out beside a surer bleed, as doubtful or as settled in a ventricle: "
            f"{left_out.sum() * grid.voxel_ml:.1f} mL in slices {slices[0]} to {slices[-1]}; look at them.",
        )


class Predictor:
    """Segments volumes with one model on one device; several threads may call it at once."""

    def __init__(
        self, model: LoadedModel, config: InferenceConfig | None = None, device: str | torch.device | None = None
    ) -> None:
        """Prepare a fast copy of the model's network.

        Args:
            model: left as it is.
            config: settings of every volume that brings none of its own.
            device: "cpu", "cuda", "cuda:N"; a GPU where there is one if None.

        Raises:
            ConfigError: there is no such device.
        """
        self.info = model.info
        self.config = config or InferenceConfig()
        self.device = _device(device)
        self._source = model.network
        self._lock = threading.Lock()
        self._networks: dict[tuple[torch.device, torch.dtype], nn.Module] = {}
        self._network(self.device, self.config)

    def segment(
        self, volume: Volume, progress: Progress | None = None, config: InferenceConfig | None = None
    ) -> Segmentation:
        """Outline hemorrhage.

        Args:
            volume: a head CT in HU, or one axial slice of it, in any orientation.
            progress: called from this thread as the work goes on.
            config: settings for this volume alone.

        Raises:
            InputError: it is no head CT, or its geometry is unusable.
        """
        config = config or self.config
        tell = progress or (lambda stage, fraction: None)
        latencies: dict[str, float] = {}
        started = time.perf_counter()
        tell("finding the brain", 0.0)
        found = self._map(volume, config, tell, latencies)
        tell("outlining", 0.9)
        with _timed(latencies, "postprocess"):
            outline = found.outline(config)
            doubts = found.doubts(outline.left_out)
        tell("measuring", 0.95)
        with _timed(latencies, "measure"):
            measurement = measure(outline.mask, volume)
        latencies["total"] = time.perf_counter() - started
        tell("done", 1.0)
        logger.info("%s: %.1f mL in %.2f s", volume.case_id, measurement.volume_ml, latencies["total"])
        return Segmentation(
            mask=outline.mask,
            measurement=measurement,
            model=self.info,
            warnings=found.warnings + doubts,
            latencies=latencies,
        )

    def probability_map(self, volume: Volume, config: InferenceConfig | None = None) -> ProbabilityMap:
        """What :meth:`segment` decides by; raises InputError as it does."""
        return self._map(volume, config or self.config, lambda stage, fraction: None, {})

    def _map(
        self, volume: Volume, config: InferenceConfig, tell: Progress, latencies: dict[str, float]
    ) -> ProbabilityMap:
        with _timed(latencies, "preprocess"):
            prepared = preprocess(volume, config.preprocess)
        with _timed(latencies, "network"):
            found, warnings = self._probabilities(
                prepared, config, lambda done: tell("looking for hemorrhage", 0.2 + 0.7 * done)
            )
        return ProbabilityMap(prepared=prepared, slices=found, warnings=prepared.warnings + warnings)

    def probabilities(
        self,
        prepared: Preprocessed,
        config: InferenceConfig | None = None,
        after: Callable[[float], None] = lambda done: None,
    ) -> np.ndarray:
        """Preprocessed slices → (Z, 240, 240) float32 probabilities in [0, 1], 0 outside the brain.

        ``after`` is called with the part done after each batch; what it raises ends the work.
        """
        return self._probabilities(prepared, config or self.config, after)[0]

    def _probabilities(
        self, prepared: Preprocessed, config: InferenceConfig, tell: Callable[[float], None]
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Probabilities, 0 in spots too dense to be blood; and a warning where the GPU had too little memory."""
        out = np.zeros(prepared.slices.shape, np.float32)
        numbers = prepared.with_brain
        device, batch_size, done = self.device, config.batch_size, 0
        warnings: tuple[str, ...] = ()
        while done < len(numbers):
            batch = numbers[done : done + batch_size]
            rows, columns = _box(prepared.brain[batch], config.margin_px)
            try:
                out[batch, rows, columns] = self._forward(prepared.slices[batch, rows, columns], device, config)
            except torch.OutOfMemoryError:
                if device.type == "cpu":
                    raise
                torch.cuda.empty_cache()
                if batch_size > 1:
                    batch_size //= 2
                else:
                    device = CPU
                    warnings = (f"The GPU {self.device} had too little memory; this scan ran on the CPU.",)
                logger.warning("out of memory on %s: going on with %d slices at once", self.device, batch_size)
                continue
            done += len(batch)
            tell(done / len(numbers))
        out *= prepared.brain
        return without_bone(out, prepared.slices), warnings

    @torch.inference_mode()
    def _forward(self, slices: np.ndarray, device: torch.device, config: InferenceConfig) -> np.ndarray:
        """(N, H, W) float32 in [0, 1] → (N, H, W) float32 probabilities."""
        network, dtype = self._network(device, config)
        images = to_network(torch.from_numpy(np.ascontiguousarray(slices)))[:, None].to(device, dtype)
        images = images.to(memory_format=torch.channels_last)
        found = probabilities(network(images).logits)
        if config.flip:
            found = (found + probabilities(network(images.flip(-1)).logits).flip(-1)) / 2
        return found[:, 0].cpu().numpy()

    def _network(self, device: torch.device, config: InferenceConfig) -> tuple[nn.Module, torch.dtype]:
        """The fast copy for a device and a precision, made once."""
        dtype = PRECISIONS[config.precision] or fastest_dtype(device)
        with self._lock:
            if (device, dtype) not in self._networks:
                self._networks[device, dtype] = optimised(self._source, device, dtype)
            return self._networks[device, dtype], dtype


def _device(name: str | torch.device | None) -> torch.device:
    """The device of this name; raises ConfigError when there is none."""
    if name is None:
        return default_device()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {str(name)!r} cannot be used ({reason}); expected cpu, cuda or cuda:N") from None
    return device


def _box(brain: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of (N, H, W) bool slices that hold brain and a margin, in multiples of the network's stride."""
    return _interval(brain.any(axis=(0, 2)), margin), _interval(brain.any(axis=(0, 1)), margin)


def _interval(occupied: np.ndarray, margin: int) -> slice:
    """The occupied part of (SIZE,) bool with a margin, widened evenly to a multiple of the stride, within the image."""
    first, last = np.flatnonzero(occupied)[[0, -1]]
    length = last + 1 - first + 2 * margin
    length = min(-(-length // STRIDE) * STRIDE, SIZE)
    start = int(np.clip((first + last + 1 - length) // 2, 0, SIZE - length))
    return slice(start, start + length)


@contextmanager
def _timed(latencies: dict[str, float], step: str) -> Iterator[None]:
    """Seconds of the block into ``latencies[step]``."""
    started = time.perf_counter()
    yield
    latencies[step] = time.perf_counter() - started
