"""A head as simple as the pipeline accepts, and weights that outline its blood without training."""

from pathlib import Path

import nibabel
import numpy as np
import torch

from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn, FcnConfig

AFFINE = np.array([[2.0, 0, 0, -96], [0, 2.0, 0, -110], [0, 0, 8.0, -40], [0, 0, 0, 1]])
"""Voxels of 2 × 2 × 8 mm."""


def make_head(shape: tuple[int, int, int] = (96, 110, 10), *, bleed_x: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid of brain (35 HU) in a skull (1000 HU), a ball of blood (65 HU) ``bleed_x`` voxels off its middle.

    Returns:
        (I, J, K) int16 HU, and (I, J, K) bool where blood is.
    """
    centre = (np.array(shape) - 1) / 2
    offset = [axis - middle for axis, middle in zip(np.indices(shape), centre, strict=True)]
    radii = np.array(shape) * [0.43, 0.45, 0.58]
    radius = np.sqrt(sum((axis / r) ** 2 for axis, r in zip(offset, radii, strict=True)))
    blood = np.sqrt((offset[0] - bleed_x) ** 2 + offset[1] ** 2 + (3 * offset[2]) ** 2) < 9
    hu = np.select([blood, radius < 0.88, radius < 1], [65, 35, 1000], -1000)
    return hu.astype(np.int16), blood


def write_head(path: Path, *, bleed_x: float = 10.0) -> Path:
    """:func:`make_head` as NIfTI."""
    nibabel.save(nibabel.Nifti1Image(make_head(bleed_x=bleed_x)[0], AFFINE), path)
    return path


def save_blood_detector(model_dir: Path, bias: float = -10.0, *, make_current: bool = True) -> ModelInfo:
    """A network of one channel with weights set by hand: a pixel is hemorrhage above 55 HU, at half resolution.

    A ``bias`` further down moves that threshold up: -20 makes it 60 HU, -40 finds nothing in :func:`make_head`.
    """
    network = Fcn(FcnConfig(stages=((1,),) * 5, decoder_tail=1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1.0)
        network.encoder[0][0].weight[0, 0, 1, 1] = 1.0  # passes what is above the middle of the window, 50 HU
        network.decoder[-1][0].weight[0, 0, 1:, 1:] = 1.0  # doubles each pixel
        network.classifier.weight.fill_(100.0)
        network.classifier.bias.fill_(bias)
    return save_version(
        model_dir, network, training={}, metrics={}, card="Set by hand, for tests.\n", make_current=make_current
    )
