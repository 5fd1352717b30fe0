"""Where cases lie on disk, and each as an image with its mask: one module for every layout or public data set.

A module offers functions that take a folder and return :class:`CaseFiles`, without reading pixels; ``volumes`` reads
one of them.
"""

from amd_das.datasets.folders import CaseFiles, Remote, at_hand, head_cts, labelled_mri

__all__ = ["CaseFiles", "Remote", "at_hand", "head_cts", "labelled_mri"]
