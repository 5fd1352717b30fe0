"""Where cases lie on disk, and each as an image with its mask: one module for every public data set.

A module offers a :class:`Layout`, which finds the :class:`CaseFiles` of a folder without reading pixels; ``registry``
knows them all and tells which one a folder has; ``volumes`` reads a case.
"""

from amd_das.datasets.folders import CaseFiles, Lesion, Remote, Subtype, at_hand, head_cts, labelled_mri
from amd_das.datasets.registry import DataSet, find_cases

__all__ = [
    "CaseFiles",
    "DataSet",
    "Lesion",
    "Remote",
    "Subtype",
    "at_hand",
    "find_cases",
    "head_cts",
    "labelled_mri",
]
