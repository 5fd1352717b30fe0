"""BraTS 2018 to 2023: a folder for each case, with a file for each MRI sequence and one of labels.

Followed: the training archives' names as users of the sets quote them: 2018 ``HGG/Brats18_…/Brats18_…_flair.nii.gz``,
2019 the same with Brats19; 2020 ``BraTS20_Training_001/BraTS20_Training_001_flair.nii`` (one label, of case 355, kept
another name that ends in ``_Segm``); 2021 ``BraTS2021_00000/BraTS2021_00000_flair.nii.gz``; from 2023 on
``BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2f.nii.gz`` with ``-seg``, where the last number counts a patient's scans.
Labels: 1 necrotic, 2 edema, 3 or 4 enhancing; the whole tumour is everything above 0.
"""

import os
import re
from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, listed
from amd_das.errors import TrainingError

_FLAIR: Final = re.compile(r"^(?P<case>brats.+?)[_-](?P<kind>flair|t2f)\.nii(\.gz)?$", re.IGNORECASE)
_LABEL: Final = re.compile(r"[_-](seg|segm)\.nii(\.gz)?$", re.IGNORECASE)
_OTHER: Final = re.compile(r"^brats.+?[_-](t1|t1ce|t2|t1n|t1c|t2w)\.nii(\.gz)?$", re.IGNORECASE)
_SCAN: Final = re.compile(r"^(BraTS-[A-Za-z]+-\d+)-\d+$", re.IGNORECASE)
_DEPTH: Final = 4


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every case with FLAIR and labels, at most four folders deep.

    Raises:
        TrainingError: there is none.
    """
    cases, unlabelled, without_flair = [], [], []
    for place in _folders(folder):
        names = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
        flairs = [(path, match) for path in names if (match := _FLAIR.match(path.name))]
        if not flairs and any(_OTHER.match(path.name) for path in names):
            without_flair.append(place.name)
        labels = [path for path in names if _LABEL.search(path.name)]
        for path, match in flairs:
            case = match["case"]
            own = [label for label in labels if label.name.lower().startswith(case.lower())]
            mask = next(iter(own or (labels if len(flairs) == 1 else [])), None)
            if mask is None:
                unlabelled.append(case)
                continue
            scan = _SCAN.match(case)
            patient = scan[1] if scan else case
            cases.append(CaseFiles(case=case, patient=patient, image=path, mask=mask, lesion="glioma"))
    if not cases:
        raise TrainingError(
            f"{folder} holds no BraTS case with labels ({len(unlabelled)} without, {len(without_flair)} without FLAIR)"
            "; expected CASE/CASE_flair.nii.gz with CASE_seg.nii.gz, or CASE-t2f.nii.gz with CASE-seg.nii.gz: the "
            "training archive, not the validation one"
        )
    problems = []
    if unlabelled:
        problems.append(f"{len(unlabelled)} image(s) without a label: {listed(unlabelled)}; they are left out")
    if without_flair:
        problems.append(f"{len(without_flair)} case(s) without FLAIR: {listed(without_flair)}; complete the download")
    return Found(cases=tuple(cases), problems=tuple(problems))


def _folders(folder: Path) -> list[Path]:
    """The folder and those below it, by name."""
    if not folder.is_dir():
        return []
    level, found = [folder], [folder]
    for _ in range(_DEPTH):
        level = sorted(
            Path(entry.path) for one in level for entry in os.scandir(one) if entry.is_dir(follow_symlinks=False)
        )
        found += level
    return found


def recognise(folder: Path) -> bool:
    """Whether one of the first folders holds a sequence named as BraTS does."""
    for place in _folders(folder)[:50]:
        if any(_FLAIR.match(path.name) or _OTHER.match(path.name) for path in place.iterdir()):
            return True
    return False


LAYOUT = Layout(
    name="brats",
    title="BraTS 2018-2023, training data",
    side="source",
    needs="CASE/CASE_flair.nii.gz with CASE_seg.nii.gz (2018-2021), or CASE-t2f.nii.gz with CASE-seg.nii.gz (2023)",
    lesions=("glioma",),
    terms="registration at Synapse, licence unverified; https://www.synapse.org/brats",
    recognise=recognise,
    find=find,
)
