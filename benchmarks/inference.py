"""How long one head CT takes from volume to mask, and where the time goes.

    python benchmarks/inference.py [--slices 32] [--repeats 3] [--threads 2] [--device cpu]

Times ``Predictor.segment`` on a synthetic 512 × 512 head, warm, as the best of the repeats. The weights are the ones in
use, or random where there are none: the time is the same.
"""

import argparse
import resource
import time

import numpy as np
import torch

from amd_das.errors import ModelError
from amd_das.inference import InferenceConfig, Predictor
from amd_das.models import LoadedModel, ModelInfo, load_current
from amd_das.networks.fcn import Fcn
from amd_das.volume import Volume

VARIANTS = {
    "default": InferenceConfig(),
    "not mirrored": InferenceConfig(flip=False),
    "cropped to the brain": InferenceConfig(margin_px=16),
    "cropped, not mirrored": InferenceConfig(flip=False, margin_px=16),
    "float32": InferenceConfig(precision="float32"),
}
"""Measured in this order; the peak memory is taken after the first."""

TARGET_SECONDS, TARGET_GB = 5.0, 2.5


def synthetic_head(slices: int, matrix: int = 512, pixel_mm: float = 0.45, slice_mm: float = 5.0) -> Volume:
    """An ellipsoid head, 140 × 176 × 150 mm inside the skull, with a bleed; (matrix, matrix, slices) HU."""
    left, back = (axis * pixel_mm for axis in np.ogrid[:matrix, :matrix])
    middle = (matrix - 1) / 2 * pixel_mm
    up = (np.arange(slices) - (slices - 1) / 2) * slice_mm
    radius = np.sqrt((((left - middle) / 70) ** 2 + ((back - middle) / 88) ** 2)[..., None] + (up / 75) ** 2)
    hu = np.select([radius < 1.0, radius < 1.1, radius < 1.2], [33.0, 900.0, 45.0], -1000.0).astype(np.float32)
    bleed = ((left - middle - 30) ** 2 + (back - middle) ** 2)[..., None] + up**2 < 18**2
    hu[bleed] = 68.0
    hu += np.random.default_rng(0).normal(0.0, 4.0, hu.shape).astype(np.float32)
    affine = np.diag([-pixel_mm, -pixel_mm, slice_mm, 1.0])
    return Volume(array=hu, affine=affine, case_id="synthetic")


def load_or_random() -> LoadedModel:
    """The model in use, or one with random weights of the same shape."""
    try:
        return load_current()
    except ModelError:
        torch.manual_seed(0)
        return LoadedModel(network=Fcn().eval(), info=ModelInfo(name="random", version="none", checksum="none"))


def fastest(
    predictor: Predictor, volume: Volume, config: InferenceConfig, repeats: int
) -> tuple[dict[str, float], float]:
    """Latencies of the fastest of the runs after a first one that is not counted, and its CPU seconds."""
    predictor.segment(volume, config=config)
    runs = []
    for _ in range(repeats):
        cpu = time.process_time()
        latencies = predictor.segment(volume, config=config).latencies
        runs.append((latencies, time.process_time() - cpu))
    return min(runs, key=lambda run: run[0]["total"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    volume = synthetic_head(arguments.slices)
    predictor = Predictor(load_or_random(), device=arguments.device)
    print(f"512 x 512 x {arguments.slices} on {predictor.device}, {arguments.threads} threads, seconds")
    peak_gb = default_s = 0.0
    for name, config in VARIANTS.items():
        latencies, cpu = fastest(predictor, volume, config, arguments.repeats)
        if not peak_gb:
            peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
            default_s = latencies["total"]
            print(f"{'':24}" + "".join(f"{step:>12}" for step in latencies) + f"{'CPU':>12}{'ratio':>8}")
        row = "".join(f"{seconds:12.2f}" for seconds in latencies.values())
        print(f"{name:24}{row}{cpu:12.2f}{latencies['total'] / default_s:8.2f}")
    print(f"default: {default_s:.2f} s (target {TARGET_SECONDS}), peak memory {peak_gb:.2f} GB (target {TARGET_GB})")


if __name__ == "__main__":
    main()
