"""From a head CT volume to windowed, skull-free 1 mm axial slices, and back to the volume's grid."""

from amd_das.preprocessing.grid import AxialGrid
from amd_das.preprocessing.pipeline import PreprocessConfig, Preprocessed, preprocess

__all__ = ["AxialGrid", "PreprocessConfig", "Preprocessed", "preprocess"]
