"""BHSD, Brain Hemorrhage Segmentation Dataset: 192 of RSNA's scans as NIfTI, five kinds outlined.

Followed: Wu et al. 2023 (arXiv:2308.11298), the archive ``label_192.zip`` (``images/`` and ``ground truths/`` of the
same names) and the set's ``dataset.json``: labels 1 epidural, 2 intraparenchymal, 3 intraventricular, 4 subarachnoid,
5 subdural, parts ``imagesTr``/``labelsTr`` and ``imagesTs``/``labelsTs``. Names are ``ID_<patient>_ID_<study>.nii.gz``,
RSNA's; a patient may have several studies. ``unlabel_1980.zip`` is a plain folder of CTs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion, Subtype
from amd_das.datasets.layout import Found, Layout, below, paired, stem, volumes_in
from amd_das.errors import TrainingError

VALUES: Final[Mapping[Subtype, int]] = {"edh": 1, "iph": 2, "ivh": 3, "sah": 4, "sdh": 5}
"""What the numbers in a mask mean."""

_TRUTHS: Final = "ground truths"
_NAME: Final = re.compile(r"^(ID_[0-9a-f]+)_ID_[0-9a-f]+$", re.IGNORECASE)
_PARTS: Final = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"))


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every scan with its mask; of IPH alone where that is asked for.

    Raises:
        TrainingError: there is no scan with a mask.
    """
    values = (VALUES["iph"],) if lesion == "iph" else ()
    cases, problems = [], []
    for images, masks, split in _parts(folder):
        pairs, wrong = paired(volumes_in(images), volumes_in(masks), str(images))
        problems += wrong
        for image, mask in pairs:
            match = _NAME.match(stem(image))
            cases.append(
                CaseFiles(
                    case=stem(image),
                    patient=match[1] if match else stem(image),
                    image=image,
                    mask=mask,
                    lesion="iph" if values else "any",
                    mask_values=values,
                    split=split,
                )
            )
    if not any(case.mask for case in cases):
        raise TrainingError(f"{folder} holds no scan with a mask; expected images/ and '{_TRUTHS}/' of the same names")
    return Found(cases=tuple(cases), problems=tuple(problems))


def _parts(folder: Path) -> list[tuple[Path, Path, str]]:
    place = below(folder, _TRUTHS)
    if (place / _TRUTHS).is_dir():
        return [(place / "images", place / _TRUTHS, "")]
    place = below(folder, "imagesTr", "labelsTr")
    return [(place / images, place / masks, split) for images, masks, split in _PARTS if (place / images).is_dir()]


def recognise(folder: Path) -> bool:
    """Whether there are "ground truths", or RSNA's names in a Decathlon's folders."""
    if (below(folder, _TRUTHS) / _TRUTHS).is_dir():
        return True
    return any(_NAME.match(stem(path)) for images, _, _ in _parts(folder) for path in volumes_in(images)[:3])


LAYOUT = Layout(
    name="bhsd",
    title="BHSD",
    side="target",
    needs="label_192/ with images/ and 'ground truths'/, both ID_…_ID_….nii.gz",
    lesions=("iph", "any"),
    terms="MIT, the scans under RSNA's rules; https://huggingface.co/datasets/WuBiao/BHSD",
    recognise=recognise,
    find=find,
)
