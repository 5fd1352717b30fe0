"""PhysioNet CT-ICH 1.0 to 1.2: windowed JPEG slices in a folder for each patient.

Followed: the set's readme (Hssayeni 2019, versions 1.0.0 and 1.2.0): ``Patients_CT/049/brain/1.jpg`` (level 40, width
120), ``Patients_CT/049/bone/1.jpg`` (level 700, width 3200), ``brain/1_HGE_Seg.jpg`` where there is hemorrhage, and
``hemorrhage_diagnosis.csv`` with the columns of the NIfTI version. Slices are counted from below, as the NIfTI ones.

These are no HU, but both windows are known and linear, so that they are undone: the brain window gives -20 to 100 HU in
steps of 0.5, and where it is cut off the bone window gives the rest in steps of 12.5. JPEG adds a few HU of noise. What
was undone is recorded with each case. There is no voxel size: the field of view is scaled, and mL are not reliable.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np

from amd_das.datasets.ct_ich import as_lesion, read_kinds
from amd_das.datasets.folders import CaseFiles, Lesion
from amd_das.datasets.layout import Found, Layout, below, listed
from amd_das.datasets.pictures import as_volume, stack
from amd_das.errors import TrainingError
from amd_das.reading import ReadingConfig
from amd_das.volume import Volume

TABLE: Final = "hemorrhage_diagnosis.csv"

BRAIN: Final = (40.0, 120.0)
"""Level and width, HU, of the pictures in ``brain/``."""

BONE: Final = (700.0, 3200.0)
"""The same of those in ``bone/``."""

UNDONE: Final = "8-bit windows undone to HU: brain 40/120, beyond it bone 700/3200"

_EDGE: Final = 3  # grey values of the brain window this near its ends are taken as cut off: JPEG blurs them
_SLICE: Final = re.compile(r"^(\d+)\.jpe?g$", re.IGNORECASE)
_MASK: Final = re.compile(r"^(\d+)_HGE_Seg\.jpe?g$", re.IGNORECASE)


def load_image(files: CaseFiles, config: ReadingConfig) -> Volume:
    """HU of both windows; without ``bone/``, what the brain window cuts off is air below and 100 HU above."""
    grey = stack(files.series, config)
    hu = _undone(grey, BRAIN)
    low, high = grey <= _EDGE, grey >= 255 - _EDGE
    bone = [path.parent.parent / "bone" / path.name for path in files.series]
    if all(path.is_file() for path in bone):
        beyond = _undone(stack(bone, config), BONE)
        hu = np.where(low, np.minimum(beyond, hu), np.where(high, np.maximum(beyond, hu), hu))
    else:
        hu[low] = -1000.0
    return as_volume(hu, files.case).with_warnings(UNDONE)


def load_mask(files: CaseFiles, config: ReadingConfig) -> np.ndarray:
    """(I, J, K) uint8, 1 in the outlined hemorrhage; slices without a mask have none."""
    shape = stack(files.series[:1], config).shape[:2]
    mask = np.zeros((*shape, len(files.series)), np.uint8)
    for number, path in enumerate(files.series):
        outlined = path.with_name(f"{path.stem}_HGE_Seg{path.suffix}")
        if outlined.is_file():
            mask[:, :, number] = stack([outlined], config)[:, :, 0] > 127
    return mask


def _undone(grey: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    level, width = window
    return (level - width / 2 + grey.astype(np.float32) * np.float32(width / 255)).astype(np.float32)


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every patient, with the masks there are.

    Raises:
        ConfigError: the table is not CT-ICH's.
        TrainingError: there is no slice.
    """
    folder = below(folder, "Patients_CT")
    kinds = read_kinds(folder / TABLE)
    cases, problems = [], []
    for place in sorted(path for path in (folder / "Patients_CT").iterdir() if path.is_dir() and path.name.isdigit()):
        names = [path.name for path in (place / "brain").glob("*")] if (place / "brain").is_dir() else []
        found = {int(match[1]): match[0] for name in names if (match := _SLICE.match(name))}
        outlined = {int(match[1]) for name in names if (match := _MASK.match(name))}
        numbers = sorted(found)
        told = {int(key) + 1: one for key, one in kinds.get(int(place.name), {}).items()}
        alone = sorted(outlined - found.keys())
        bare = sorted(number for number, one in told.items() if one and number in found and number not in outlined)
        gone = sorted(told.keys() - found.keys())
        for what, which in (
            ("mask(s) without an image", alone),
            ("slice(s) with hemorrhage without a mask", bare),
            (f"slice(s) of {TABLE} missing", gone),
        ):
            if which:
                problems.append(f"{place.name}: {len(which)} {what}: {listed(which)}")
        if not numbers:
            problems.append(f"{place.name}: no pictures in brain/")
            continue
        if alone or bare:
            continue
        slices = {str(index): told[number] for index, number in enumerate(numbers) if number in told}
        name = f"ct-ich-{place.name}"
        cases.append(
            CaseFiles(
                case=name,
                patient=name,
                image=place / "brain",
                mask=place / "brain",
                series=tuple(place / "brain" / found[number] for number in numbers),
                lesion="any",
                subtypes=frozenset().union(*slices.values()) if slices else None,
                slice_subtypes=slices,
                provenance={"window": UNDONE},
                load_image=load_image,
                load_mask=load_mask,
            )
        )
    if not cases:
        raise TrainingError(f"{folder} holds no complete patient; expected Patients_CT/049/brain/1.jpg and so on")
    notes = (f"{UNDONE}; the voxel size is not known",)
    return as_lesion(Found(cases=tuple(cases), problems=tuple(problems), notes=notes), lesion)


def recognise(folder: Path) -> bool:
    """Whether the folder of patients lies there."""
    return (below(folder, "Patients_CT") / "Patients_CT").is_dir()


LAYOUT = Layout(
    name="ct-ich-jpg",
    title="PhysioNet CT-ICH 1.0-1.2 (JPEG)",
    side="target",
    needs=f"Patients_CT/049/brain/1.jpg, 1_HGE_Seg.jpg, bone/1.jpg and {TABLE}",
    lesions=("iph", "any"),
    terms="CC BY 4.0, https://physionet.org/content/ct-ich/1.0.0/",
    recognise=recognise,
    find=find,
)
