"""From files to :class:`amd_das.volume.Volume` and from a mask back to a file: one module a format.

``find_inputs`` says what is there (no pixels are read), ``read_volume`` reads one of them, ``write_mask`` writes a
mask on the grid of the volume it belongs to, ``write_image`` the volume itself. Whatever is wrong with a file is
refused with an error of :mod:`amd_das.errors`; nothing larger than :class:`ReadingConfig` allows is ever allocated.
"""

from amd_das.reading.config import ReadingConfig
from amd_das.reading.images import write_image
from amd_das.reading.inputs import Input, find_inputs
from amd_das.reading.masks import write_mask
from amd_das.reading.volumes import read_volume

__all__ = ["Input", "ReadingConfig", "find_inputs", "read_volume", "write_image", "write_mask"]
