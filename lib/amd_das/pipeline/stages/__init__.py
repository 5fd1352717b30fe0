"""The steps of the pipeline: what decides each one's output, and how it is made."""

from amd_das.pipeline.stages.common import MATCHES, SLICES, Context, Done
from amd_das.pipeline.stages.comparison import comparison
from amd_das.pipeline.stages.data import FIRST_SEEDS, SHEET, matching, rehearsal, source, target
from amd_das.pipeline.stages.phantoms import PHANTOMS
from amd_das.pipeline.stages.publication import publication
from amd_das.pipeline.stages.segmentation import segmentation, self_training
from amd_das.pipeline.stages.synthesis import synthesis, translation

__all__ = [
    "FIRST_SEEDS",
    "MATCHES",
    "PHANTOMS",
    "SHEET",
    "SLICES",
    "Context",
    "Done",
    "comparison",
    "matching",
    "publication",
    "rehearsal",
    "segmentation",
    "self_training",
    "source",
    "synthesis",
    "target",
    "translation",
]
