"""Any head CT volume to a hemorrhage mask on its own grid, and its measurement."""

from amd_das.inference.predictor import InferenceConfig, Outline, Predictor, ProbabilityMap, Segmentation

__all__ = ["InferenceConfig", "Outline", "Predictor", "ProbabilityMap", "Segmentation"]
