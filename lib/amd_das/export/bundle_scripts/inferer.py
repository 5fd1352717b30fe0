"""Whole scans through a network of slices: the product's own way from HU to a mask, as a MONAI inferer."""

import logging
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor

from amd_das.inference import InferenceConfig, Predictor
from amd_das.models import LoadedModel, ModelInfo
from amd_das.networks.fcn import Fcn
from amd_das.volume import Volume

from .network import SliceFcn
from .scans import CASE, SPACING_KNOWN

logger = logging.getLogger("amd_das.bundle")


class HeadCtInferer(Inferer):
    """(N, 1, I, J, K) head CT in HU → (N, 1, I, J, K) uint8 on the same grid, 1 where hemorrhage.

    Brain extraction, window, 1 mm slices, the network, and the way back are those of ``amd-das segment``.
    """

    def __init__(self, *, version: str, notice: str, **settings: Any) -> None:
        """Load nothing yet.

        Args:
            version: of the weights, for the log.
            notice: what has to be said with every result.
            settings: as :class:`amd_das.inference.InferenceConfig` has them.

        Raises:
            ConfigError: an impossible value.
            TypeError: no such setting.
        """
        super().__init__()
        self.config = InferenceConfig(**settings)
        self.version, self.notice = version, notice
        self._network: SliceFcn | None = None
        self._predictor: Predictor | None = None

    def __call__(self, inputs: Tensor, network: SliceFcn, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """See the class.

        Raises:
            InputError: a scan is no head CT in HU, or its geometry is unusable.
        """
        predictor = self._predictor_of(network)
        out = torch.zeros_like(inputs, dtype=torch.uint8)
        masks = out.as_tensor() if isinstance(out, MetaTensor) else out
        for number in range(len(inputs)):
            volume = _volume(inputs, number)
            found = predictor.segment(volume)
            masks[number, 0] = torch.from_numpy(found.mask)
            volume_ml, lesions = found.measurement.volume_ml, len(found.measurement.lesions)
            logger.info("%s: %.1f mL in %d lesion(s). %s", volume.case_id, volume_ml, lesions, self.notice)
            for warning in found.warnings:
                logger.warning("%s: %s", volume.case_id, warning)
        return out

    def _predictor_of(self, network: SliceFcn) -> Predictor:
        """Made once for a network, when its weights are loaded."""
        if self._predictor is None or network is not self._network:
            weights = Fcn(network.config)
            weights.load_state_dict(network.state_dict())
            info = ModelInfo(name="amd_das", version=self.version, checksum="")
            device = next(network.parameters()).device
            self._predictor = Predictor(LoadedModel(network=weights.eval(), info=info), self.config, device)
            self._network = network
        return self._predictor


def _volume(inputs: Tensor, number: int) -> Volume:
    """One scan of a batch; of a plain tensor neither voxel size nor place are known."""
    array = torch.as_tensor(inputs[number, 0]).cpu().float().numpy()
    if not isinstance(inputs, MetaTensor):
        return Volume(array=array, affine=torch.eye(4).double().numpy(), case_id=f"scan-{number}", spacing_known=False)
    affine = inputs.affine if inputs.affine.ndim == 2 else inputs.affine[number]
    return Volume(
        array=array,
        affine=affine.cpu().double().numpy(),
        case_id=_of(inputs, CASE, number, f"scan-{number}"),
        spacing_known=bool(_of(inputs, SPACING_KNOWN, number, True)),
    )


def _of(inputs: MetaTensor, key: str, number: int, otherwise: Any) -> Any:
    """A value of meta data that was collated, or was not."""
    value = inputs.meta.get(key, otherwise)
    return value[number] if isinstance(value, list | tuple | Tensor) and len(value) > number else value
