"""Any folder of head CT: NIfTI, NRRD and DICOM series, wherever they lie below it."""

from pathlib import Path

from amd_das.datasets.folders import Lesion, head_cts
from amd_das.datasets.layout import Found, Layout


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every CT, by :func:`amd_das.datasets.folders.head_cts`; masks are given apart.

    Raises:
        NotFoundError, InputError: there is no CT.
    """
    return Found(cases=tuple(head_cts(folder)))


LAYOUT = Layout(
    name="cts",
    title="Any folder of head CT",
    side="target",
    needs="NIfTI, NRRD or DICOM series; masks in a folder of their own (--masks)",
    lesions=("iph",),
    terms="your own",
    recognise=lambda folder: folder.is_dir(),
    find=find,
)
