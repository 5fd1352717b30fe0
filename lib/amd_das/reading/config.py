"""How much a reader accepts."""

from dataclasses import dataclass

from amd_das.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """Limits that stand between a file and the memory it asks for, and how exact a grid has to be."""

    max_file_bytes: int = 2**30
    """Bytes on disk of one input, all slices of a DICOM series together (ours: 512 × 512 × 512 in float64)."""

    max_voxels: int = 2**27
    """Voxels of one input, checked before anything is decompressed (ours: 512 × 512 × 512, half a GiB as float32)."""

    step_tolerance: float = 0.1
    """How far the distance of two neighbouring DICOM slices may be from the median, as a share of it (ours)."""

    def __post_init__(self) -> None:
        if self.max_file_bytes < 1 or self.max_voxels < 1:
            raise ConfigError(
                f"max_file_bytes and max_voxels must be at least 1, got {self.max_file_bytes} and {self.max_voxels}"
            )
        if not 0 < self.step_tolerance < 0.5:
            raise ConfigError(f"step_tolerance must lie between 0 and 0.5, got {self.step_tolerance}")
