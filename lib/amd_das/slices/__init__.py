"""Slices on disk: ``store`` reads them, ``writer`` appends them, ``prepare`` makes them from volumes."""

from amd_das.slices.index import CaseSlices, Domain
from amd_das.slices.store import SliceStore, bright_pixels, lesion_pixels, network_image, network_label
from amd_das.slices.writer import SliceWriter

__all__ = [
    "CaseSlices",
    "Domain",
    "SliceStore",
    "SliceWriter",
    "bright_pixels",
    "lesion_pixels",
    "network_image",
    "network_label",
]
