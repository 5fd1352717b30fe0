"""Slices on disk: what training reads. ``store`` holds them, ``prepare`` makes them from volumes."""

from amd_das.slices.index import CaseSlices, Domain
from amd_das.slices.store import SliceStore, SliceWriter, lesion_pixels, network_image, network_label

__all__ = ["CaseSlices", "Domain", "SliceStore", "SliceWriter", "lesion_pixels", "network_image", "network_label"]
