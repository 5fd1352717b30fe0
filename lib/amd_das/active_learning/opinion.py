"""What the model thinks of one scan, and how sure it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from amd_das.active_learning.diversity import volume_fingerprint
from amd_das.active_learning.uncertainty import flip_consistency, volume_entropy
from amd_das.inference import InferenceConfig, Predictor, ProbabilityMap
from amd_das.preprocessing.pipeline import Preprocessed, preprocess
from amd_das.volume import Volume

_INCONSISTENCY_WEIGHT: Final = 16


class Interrupted(Exception):
    """Raised by ``give_way`` to have the scan left for later."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Opinion:
    """Of one volume and one model."""

    mask: np.ndarray
    """(I, J, K) uint8 on the volume's own grid: what segmenting it gives."""

    entropy: float
    """Bits, in [0, 1]; see :mod:`amd_das.active_learning.uncertainty`."""

    flip_consistency: float
    """Dice between both views, in [0, 1]."""

    fingerprint: np.ndarray
    """(n,) uint64; see :mod:`amd_das.active_learning.diversity`."""

    @property
    def uncertainty(self) -> float:
        """One number of both, in [0, 1]."""
        return uncertainty(self.entropy, self.flip_consistency)


def uncertainty(entropy: float, consistency: float) -> float:
    """Entropy and inconsistency as one number in [0, 1].

    Inconsistency counts sixteen times (ours, chosen with 30 held-out phantom heads and those of
    ``benchmarks/uncertainty.py`` in view): it tells far more of the error, in smaller numbers. Entropy orders scans of
    which both views say the same, as of a bleed that both just miss.
    """
    return (entropy + _INCONSISTENCY_WEIGHT * (1.0 - consistency)) / (1 + _INCONSISTENCY_WEIGHT)


def form_opinion(
    volume: Volume,
    predictor: Predictor,
    config: InferenceConfig | None = None,
    *,
    give_way: Callable[[], None] = lambda: None,
) -> Opinion:
    """Look at a volume and at its mirror image; raises InputError as segmenting it does.

    The mask is the one that :meth:`Predictor.segment` makes with ``flip``: the mean of both views is what that takes.
    ``give_way`` is called between the steps and the network's batches; what it raises ends the work.
    """
    config = config or predictor.config
    give_way()
    prepared = preprocess(volume, config.preprocess)
    once = replace(config, flip=False)
    give_way()
    plain = predictor.probabilities(prepared, once, lambda done: give_way())
    mirrored = predictor.probabilities(_mirrored(prepared), once, lambda done: give_way())[..., ::-1]
    mean = (plain + mirrored) / 2
    found = ProbabilityMap(prepared=prepared, slices=mean, warnings=prepared.warnings)
    return Opinion(
        mask=found.outline(config).mask,
        entropy=volume_entropy(mean),
        flip_consistency=flip_consistency(plain, mirrored, config.threshold),
        fingerprint=volume_fingerprint(prepared.slices, prepared.with_brain),
    )


def _mirrored(prepared: Preprocessed) -> Preprocessed:
    """Left and right exchanged; the grid is not to be used."""
    return replace(prepared, slices=prepared.slices[..., ::-1], brain=prepared.brain[..., ::-1])
