"""Medical Segmentation Decathlon, Task01_BrainTumour: four-channel NIfTI, the channels named in ``dataset.json``.

Followed: Simpson et al. 2019 (arXiv:1902.09063) and the ``dataset.json`` of the archive: ``modality`` {"0": "FLAIR",
"1": "T1w", "2": "t1gd", "3": "T2w"}, ``labels`` 1 edema, 2 non-enhancing tumor, 3 enhancing tumour, ``training`` a
list of {"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/…"}. The whole tumour is every label above 0.
``imagesTs`` has no labels and is passed over.
"""

import json
from pathlib import Path
from typing import Any, Final

from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, below, listed, paired, stem, volumes_in
from amd_das.errors import ConfigError, TrainingError

_ABOUT: Final = "dataset.json"


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """The training images and their labels; the channel is the one that ``dataset.json`` calls FLAIR.

    Raises:
        ConfigError: ``dataset.json`` is damaged, or names no FLAIR.
        TrainingError: there is no labelled image.
    """
    folder = below(folder, _ABOUT, "imagesTr")
    about = _about(folder / _ABOUT)
    modality = {str(key): str(name) for key, name in dict(about.get("modality", {})).items()}
    channel = next((int(key) for key, name in modality.items() if name.strip().upper() == "FLAIR"), None)
    if channel is None:
        raise ConfigError(
            f"{folder / _ABOUT} names no FLAIR among its channels ({listed(modality.values()) or 'none'}); expected "
            'Task01_BrainTumour, whose "modality" is FLAIR, T1w, t1gd, T2w'
        )
    pairs, problems = paired(volumes_in(folder / "imagesTr"), volumes_in(folder / "labelsTr"), str(folder / "imagesTr"))
    promised = {stem(Path(str(one["image"]))) for one in about.get("training", []) if isinstance(one, dict)}
    absent = sorted(promised - {stem(image) for image, _ in pairs})
    if absent:
        problems.append(f"{len(absent)} of {len(promised)} images that {_ABOUT} lists are missing: {listed(absent)}")
    cases = tuple(
        CaseFiles(case=stem(image), patient=stem(image), image=image, mask=mask, channel=channel, lesion="glioma")
        for image, mask in pairs
        if mask is not None
    )
    if not cases:
        raise TrainingError(f"no image in {folder / 'imagesTr'} has a label in {folder / 'labelsTr'}; download both")
    return Found(cases=cases, problems=tuple(problems), notes=(f"FLAIR is channel {channel}",))


def _about(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); download it again") from error
    if not isinstance(found, dict) or not isinstance(found.get("modality", {}), dict):
        raise ConfigError(f"{path} does not describe a data set; download it again")
    return found


def recognise(folder: Path) -> bool:
    """Whether a Decathlon description of MRI lies there."""
    folder = below(folder, _ABOUT, "imagesTr")
    if not ((folder / _ABOUT).is_file() and (folder / "imagesTr").is_dir()):
        return False
    try:
        modality = _about(folder / _ABOUT).get("modality", {})
    except ConfigError:
        return True  # and finding says what is wrong
    return not any("CT" in str(name).upper() for name in modality.values())


LAYOUT = Layout(
    name="decathlon",
    title="Medical Segmentation Decathlon, Task01_BrainTumour",
    side="source",
    needs="Task01_BrainTumour/ with dataset.json, imagesTr/, labelsTr/",
    lesions=("glioma",),
    terms="CC BY-SA 4.0, http://medicaldecathlon.com",
    recognise=recognise,
    find=find,
)
