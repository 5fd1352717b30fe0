"""TCGA-LGG, as "LGG MRI Segmentation" at Kaggle: TIFF slices with masks, a folder for each patient.

Followed: the set's README (Buda et al. 2019): ``kaggle_3m/TCGA_<institution>_<patient>_<date>/`` with
``…_<slice>.tif``, three channels (pre-contrast, FLAIR, post-contrast; a missing sequence is replaced by FLAIR) and
``…_<slice>_mask.tif``, one channel, of FLAIR abnormality. The README gives neither the voxel size nor which end slice 1
is at; here slices are counted from below, as their pictures suggest.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np

from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, below, listed
from amd_das.datasets.pictures import as_volume, stack
from amd_das.errors import TrainingError
from amd_das.reading import ReadingConfig
from amd_das.volume import Volume

FLAIR: Final = 1
"""Channel of the pictures, from 0."""

_SLICE: Final = re.compile(r"^(TCGA_[A-Za-z0-9]+_[A-Za-z0-9]+)_(\d+)_(\d+)\.tiff?$", re.IGNORECASE)
_MASK: Final = re.compile(r"_mask\.tiff?$", re.IGNORECASE)


def load_image(files: CaseFiles, config: ReadingConfig) -> Volume:
    """The FLAIR channel, 0-255."""
    return as_volume(stack(files.series, config, channel=FLAIR), files.case)


def load_mask(files: CaseFiles, config: ReadingConfig) -> np.ndarray:
    """(I, J, K) uint8, 1 where a mask is above half."""
    return (stack([_mask_of(path) for path in files.series], config) > 127).astype(np.uint8)


def _mask_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_mask{path.suffix}")


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every patient's folder that has a mask for each slice.

    Raises:
        TrainingError: there is none.
    """
    place = _place(folder)
    cases, problems = [], []
    for one in _patients(place):
        names = {path.name: path for path in one.iterdir()}
        matches = [match for name in names if (match := _SLICE.match(name))]
        numbers = sorted(int(match[3]) for match in matches)
        series = tuple(names[match[0]] for match in sorted(matches, key=lambda match: int(match[3])))
        bare = [path.name for path in series if not _mask_of(path).is_file()]
        images = {path.name for path in series}
        alone = [name for name in names if _MASK.search(name) and _MASK.sub(Path(name).suffix, name) not in images]
        gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
        for what, found in (("image(s) without a mask", bare), ("mask(s) without an image", alone)):
            if found:
                problems.append(f"{one.name}: {len(found)} {what}: {listed(sorted(found))}")
        if gaps:
            problems.append(f"{one.name}: {len(gaps)} slice(s) missing: number {listed(gaps)}")
        if series and not (bare or alone or gaps):
            cases.append(
                CaseFiles(
                    case=one.name,
                    patient=matches[0][1],
                    image=one,
                    mask=one,
                    series=series,
                    lesion="glioma",
                    load_image=load_image,
                    load_mask=load_mask,
                    provenance={"channel": "FLAIR, 1 of pre-contrast, FLAIR, post-contrast"},
                )
            )
    if not cases:
        why = f" ({listed(problems)})" if problems else ""
        raise TrainingError(f"{folder} holds no complete patient{why}; expected TCGA_…/TCGA_…_1.tif with …_1_mask.tif")
    return Found(cases=tuple(cases), problems=tuple(problems), notes=(f"FLAIR is channel {FLAIR}",))


def _place(folder: Path) -> Path:
    """The folder of the patients; the archive also holds ``lgg-mri-segmentation/kaggle_3m``."""
    for place in (folder, folder / "kaggle_3m", folder / "lgg-mri-segmentation" / "kaggle_3m"):
        if _patients(place):
            return place
    return below(folder, "kaggle_3m") / "kaggle_3m"


def _patients(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name.upper().startswith("TCGA_"))


def recognise(folder: Path) -> bool:
    """Whether folders are named after TCGA's patients and hold TIFF files."""
    return any(any(_SLICE.match(path.name) for path in one.iterdir()) for one in _patients(_place(folder))[:5])


LAYOUT = Layout(
    name="tcga-lgg",
    title='TCGA-LGG ("LGG MRI Segmentation")',
    side="source",
    needs="kaggle_3m/TCGA_…/ with TCGA_…_1.tif and TCGA_…_1_mask.tif",
    lesions=("glioma",),
    terms="CC BY-NC-SA 4.0, https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
    recognise=recognise,
    find=find,
)
