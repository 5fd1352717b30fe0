"""HemSeg-200: masks of intraparenchymal and intraventricular hemorrhage on 222 of RSNA's scans.

Followed: Song et al. 2024 (arXiv:2405.14559) and the authors' repository songchangwei/3DCT-SD-IVH-ICH: masks are
distributed as NIfTI named by the study; scans are made from RSNA's slices with the authors' ``dcm2nii.py``, under the
same name; their trainings read ``train/``, ``val/`` and ``test/``, each with ``image/`` and ``label/``, as one class.
Whether IPH and IVH have values of their own in the masks could not be verified, so they count together.
"""

from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, below, paired, stem, volumes_in
from amd_das.errors import TrainingError

_PARTS: Final = (("train", "train"), ("val", "validation"), ("test", "test"))


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every scan with its mask.

    Raises:
        TrainingError: there is no scan with a mask.
    """
    cases, problems = [], []
    for place, split in _places(folder):
        pairs, wrong = paired(volumes_in(place / "image"), volumes_in(place / "label"), str(place / "image"))
        problems += wrong
        cases += [
            CaseFiles(case=stem(image), patient=stem(image), image=image, mask=mask, lesion="any", split=split)
            for image, mask in pairs
        ]
    if not any(case.mask for case in cases):
        raise TrainingError(
            f"{folder} holds no scan with a mask; make the scans from RSNA's slices with the authors' dcm2nii.py into "
            "image/, and put the masks into label/"
        )
    return Found(cases=tuple(cases), problems=tuple(problems), notes=("masks show IPH and IVH as one class",))


def _places(folder: Path) -> list[tuple[Path, str]]:
    place = below(folder, "train")
    parts = [(place / name, split) for name, split in _PARTS if (place / name / "image").is_dir()]
    return parts or [(below(folder, "image", "label"), "")]


def recognise(folder: Path) -> bool:
    """Whether ``image/`` with ``label/`` lie there, or in ``train/``, and scans have RSNA's study names."""
    names = [stem(path) for place, _ in _places(folder) for path in volumes_in(place / "image")[:3]]
    return bool(names) and all(_is_study(name) for name in names)


def _is_study(name: str) -> bool:
    name = name.removeprefix("ID_")
    return len(name) == 10 and all(letter in "0123456789abcdef" for letter in name)


LAYOUT = Layout(
    name="hemseg-200",
    title="HemSeg-200",
    side="target",
    needs="image/ and label/ with <study>.nii.gz, or those in train/, val/ and test/",
    lesions=("any",),
    terms="the scans under RSNA's rules, licence of the masks unverified; https://github.com/songchangwei/3DCT-SD-IVH-ICH",
    recognise=recognise,
    find=find,
)
