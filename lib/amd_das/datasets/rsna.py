"""RSNA 2019 Intracranial Hemorrhage Detection (Kaggle): single DICOM slices named by their SOP instance, and a table.

Followed: the competition's data page and kernels: ``stage_2_train/ID_<hex>.dcm`` and ``stage_2_train.csv`` with the
columns ``ID,Label`` and six rows an image, ``ID_<hex>_<kind>`` for epidural, intraparenchymal, intraventricular,
subarachnoid, subdural, any; some images come twice in the table. Headers are stripped to the pixel format, rescaling,
``ImagePositionPatient``, ``ImageOrientationPatient``, ``PixelSpacing`` and made-up ``PatientID``, ``StudyInstanceUID``,
``SeriesInstanceUID`` (``ID_<hex>``); SOP class and slice thickness are gone. Outside the scanned circle lies -2000 or
-2048; some 12-bit slices hold wrapped negative numbers (see :mod:`amd_das.reading.dicom`). ``stage_2_test`` has no
public labels here and is passed over. One file of the set, ID_6431af929, is known to be broken.
"""

import logging
from collections import defaultdict
from pathlib import Path
from typing import Final

from pydicom import dcmread

from amd_das.datasets.folders import CaseFiles, Lesion, Subtype
from amd_das.datasets.layout import NAMES, Found, Layout, below, listed, rows_of
from amd_das.datasets.volumes import made_up_uids
from amd_das.errors import ConfigError, TrainingError
from amd_das.reading.dicom_files import series_case_id

logger = logging.getLogger(__name__)

_STAGES: Final = (("stage_2_train.csv", "stage_2_train"), ("stage_1_train.csv", "stage_1_train_images"))
_TAGS: Final = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "ImagePositionPatient"]


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every series of the training part, its slices in the order of their positions; each header is read.

    Raises:
        ConfigError: the table is not RSNA's.
        TrainingError: no slice of the table is there.
    """
    table, images = _parts(folder)
    labels = read_labels(table)
    series: dict[tuple[str, str], list[tuple[float, Path]]] = defaultdict(list)
    patients: dict[tuple[str, str], str] = {}
    unlabelled, broken = [], []
    for path in sorted(images.glob("ID_*.dcm")):
        if path.stem not in labels:
            unlabelled.append(path.stem)
            continue
        try:
            with made_up_uids():
                header = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
                key = (str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
            height, person = float(header.ImagePositionPatient[2]), str(header.PatientID)
        except Exception as error:  # whatever a broken file provokes; the others are of use
            logger.debug("%s: %s", path.name, error)
            broken.append(path.stem)
            continue
        series[key].append((height, path))
        patients[key] = person
    if not series:
        raise TrainingError(
            f"none of the {len(labels)} images of {table.name} is in {images}; unpack {images.name}/ there"
        )
    cases = tuple(_case(key, slices, patients[key], labels) for key, slices in sorted(series.items()))
    there = sum(len(slices) for slices in series.values())
    problems = []
    if broken:
        problems.append(f"{len(broken)} file(s) cannot be read: {listed(broken)}; they are left out")
    if unlabelled:
        problems.append(f"{len(unlabelled)} image(s) without a label in {table.name}: {listed(unlabelled)}")
    missing = len(labels) - there - len(broken)
    if missing:
        problems.append(f"{missing} of the {len(labels)} images of {table.name} are missing; complete the download")
    return Found(cases=cases, problems=tuple(problems), notes=(f"{there} slices put together to {len(cases)} series",))


def _case(
    key: tuple[str, str], slices: list[tuple[float, Path]], person: str, labels: dict[str, frozenset[Subtype]]
) -> CaseFiles:
    paths = tuple(path for _, path in sorted(slices))
    kinds = {path.stem: labels[path.stem] for path in paths}
    return CaseFiles(
        case=series_case_id("/".join(key)),
        patient=person,
        image=paths[0].parent,
        series=paths,
        subtypes=frozenset().union(*kinds.values()),
        slice_subtypes=kinds,
    )


def read_labels(table: Path) -> dict[str, frozenset[Subtype]]:
    """Image → kinds of hemorrhage, of ``stage_2_train.csv``.

    Raises:
        ConfigError: another table, or a value that is neither 0 nor 1.
    """
    labels: dict[str, frozenset[Subtype]] = {}
    for row in rows_of(table, ("ID", "Label")):
        image, _, kind = row["ID"].rpartition("_")
        if not image.startswith("ID_") or kind not in (*NAMES, "any") or row["Label"] not in ("0", "1"):
            raise ConfigError(
                f"{table.name} has the row {row['ID']},{row['Label']}; expected ID_<image>_<kind>,0 or 1, a kind "
                f"of {', '.join(NAMES)}, any"
            )
        known = labels.setdefault(image, frozenset())
        if row["Label"] == "1" and kind in NAMES:
            labels[image] = known | {NAMES[kind]}
    return labels


def _parts(folder: Path) -> tuple[Path, Path]:
    for table, images in _STAGES:
        place = below(folder, table, images)
        if (place / table).is_file() and (place / images).is_dir():
            return place / table, place / images
    raise TrainingError(f"{folder} lacks RSNA's {_STAGES[0][0]} or {_STAGES[0][1]}/; unpack both there")


def recognise(folder: Path) -> bool:
    """Whether RSNA's table or its folder of slices lies there."""
    return any((below(folder, name) / name).exists() for stage in _STAGES for name in stage)


LAYOUT = Layout(
    name="rsna",
    title="RSNA 2019 Intracranial Hemorrhage Detection",
    side="target",
    needs="stage_2_train.csv and stage_2_train/ID_….dcm",
    lesions=(),
    terms="competition rules, non-commercial: https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection/rules",
    recognise=recognise,
    find=find,
)
