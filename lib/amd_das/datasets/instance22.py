"""INSTANCE 2022: NIfTI scans with masks of hemorrhage, all kinds in one class.

Followed: the challenge's description (Li et al. 2023) and the training archive as its users read it:
``train_2/data/001.nii.gz`` with ``train_2/label/001.nii.gz``, 100 scans, label 1 = hemorrhage of any kind. The archive
itself could not be looked into.
"""

from pathlib import Path

from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, below, paired, stem, volumes_in
from amd_das.errors import TrainingError


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every scan with its mask.

    Raises:
        TrainingError: there is no scan with a mask.
    """
    folder = below(folder, "data", "label")
    pairs, problems = paired(volumes_in(folder / "data"), volumes_in(folder / "label"), str(folder / "data"))
    cases = tuple(
        CaseFiles(
            case=f"instance22-{stem(image)}", patient=f"instance22-{stem(image)}", image=image, mask=mask, lesion="any"
        )
        for image, mask in pairs
    )
    if not any(case.mask for case in cases):
        raise TrainingError(f"no scan in {folder}/data has a mask in {folder}/label; unpack the training archive")
    return Found(cases=cases, problems=tuple(problems), notes=("masks show hemorrhage of any kind, not IPH alone",))


def recognise(folder: Path) -> bool:
    """Whether scans lie in ``data/`` and masks in ``label/``."""
    folder = below(folder, "data", "label")
    return bool(volumes_in(folder / "data")) and (folder / "label").is_dir()


LAYOUT = Layout(
    name="instance22",
    title="INSTANCE 2022",
    side="target",
    needs="train_2/ with data/001.nii.gz and label/001.nii.gz",
    lesions=("any",),
    terms="signed agreement with the organisers, https://instance.grand-challenge.org",
    recognise=recognise,
    find=find,
)
