"""Scans with a label that somebody has drawn or corrected: in a server's studies, in a folder, or in a PACS."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread

from amd_das.datasets import CaseFiles, find_cases, head_cts
from amd_das.datasets.registry import ANY, detect
from amd_das.datasets.splits import Person
from amd_das.errors import InputError, NotFoundError, TrainingError
from amd_das.pacs.cases import PacsSeries, labelled_cts
from amd_das.pacs.config import PacsConfig
from amd_das.reading import read_volume

logger = logging.getLogger(__name__)

FINAL: Final = Path("labels", "final")
"""Where a MONAI Label server keeps the labels of a folder of studies that somebody has submitted."""

MASK_FOLDERS: Final = (FINAL, Path("masks"), Path("labels"))
"""Looked for in this order."""


class NothingLabelled(TrainingError):
    """No scan has a final label."""

    code = "nothing_labelled"


@dataclass(frozen=True, kw_only=True)
class LabelledCase:
    """One scan, its label, and who it is of."""

    files: CaseFiles
    keys: tuple[str, ...]
    """Names of the patient, for :mod:`amd_das.datasets.splits`; never written anywhere else."""

    @property
    def stamp(self) -> list[Any]:
        """Changes when the scan or its label does."""
        files = self.files
        if files.remote is not None:
            return [files.case, files.remote.stamp]
        paths = (*(files.series or (files.image,)), *((files.mask,) if files.mask else ()))
        return [files.case, *([path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths)]


def labelled_cases(place: Path | PacsConfig, *, submitted: bool = False) -> list[LabelledCase]:
    """The labelled scans of a folder or of a PACS, by name; no pixel is read.

    Args:
        place: a folder with labels in ``labels/final/`` (a server's studies), ``masks/`` or ``labels/``, named like
            their scans; a public data set as it is distributed; or a PACS.
        submitted: of a folder, only what a server has saved as final.

    Raises:
        NothingLabelled: none is labelled.
        NotFoundError: there is no such folder.
        ConfigError: it is a data set whose masks do not tell intraparenchymal hemorrhage.
        UnreadableError, NotHeadCtError, PacsError: there is no scan, or the PACS does not answer.
    """
    if isinstance(place, PacsConfig):
        found, where = labelled_cts(place), f"the PACS at {place.shown}"
        hint = "save one in 3D Slicer or OHIF (Submit Label, or a SEG drawn on the CT)"
    else:
        found, where, hint = (
            _in_folder(place, submitted=submitted),
            str(place),
            "submit one in 3D Slicer, as labels/final/SCAN.nii.gz",
        )
    if not found:
        raise NothingLabelled(f"no scan in {where} has a final label, so there is nothing to learn from; {hint}")
    return sorted((LabelledCase(files=files, keys=_keys(files)) for files in found), key=lambda one: one.files.case)


def _in_folder(folder: Path, *, submitted: bool) -> list[CaseFiles]:
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is no folder; expected scans with labels in labels/final/ or masks/")
    if not submitted and not (folder / FINAL).is_dir() and detect(folder, "target") not in ANY:
        return [files for files in find_cases(folder, "target", lesion="iph").cases if files.mask]
    names = (FINAL,) if submitted else MASK_FOLDERS
    masks = next((folder / name for name in names if (folder / name).is_dir()), None)
    return [] if masks is None else [files for files in head_cts(folder, masks) if files.mask]


def check_labels(cases: Sequence[LabelledCase]) -> None:
    """Read every label that lies on this disk; scans, and what lies in a PACS, are read when their turn comes.

    Raises:
        TrainingError: a label cannot be read, or all are empty.
    """
    unreadable, bleeds = [], False
    for one in cases:
        files = one.files
        if files.remote is not None or files.load_mask is not None or files.mask is None or files.mask.is_dir():
            bleeds = True  # not known before it is fetched, or read together with the scan
            continue
        try:
            mask = read_volume(files.mask).array
            bleeds |= bool((np.isin(mask, files.mask_values) if files.mask_values else mask > 0).any())
        except InputError as error:
            unreadable.append(f"{one.files.case}: {error}")
    if unreadable:
        raise TrainingError(
            f"{len(unreadable)} of {len(cases)} labels cannot be read; save them again, or delete them. "
            + "; ".join(unreadable[:3])
        )
    if not bleeds:
        raise TrainingError(
            f"all {len(cases)} labels are empty: scans without a bleed are learnt from beside some with one; label one"
        )


def people_of(cases: Sequence[LabelledCase], bleeding: Sequence[bool]) -> list[tuple[Person, list[int]]]:
    """The patients of some cases, each with the positions of theirs; cases that share any name are one patient's.

    Args:
        cases: those that are used.
        bleeding: whether each one's label shows a bleed.
    """
    groups: list[tuple[set[str], list[int]]] = []
    for number, one in enumerate(cases):
        keys, members = set(one.keys), [number]
        for group in [group for group in groups if group[0] & keys]:
            groups.remove(group)
            keys |= group[0]
            members = group[1] + members
        groups.append((keys, members))
    return [
        (Person(keys=tuple(sorted(keys)), bleeds=any(bleeding[number] for number in members)), members)
        for keys, members in groups
    ]


def _keys(files: CaseFiles) -> tuple[str, ...]:
    person = _patient_id(files)
    named = (f"patient {files.patient}",) if files.patient != files.case else ()
    return (*((f"PatientID {person}",) if person else ()), *named, f"case {files.case}")


def _patient_id(files: CaseFiles) -> str:
    if isinstance(files.remote, PacsSeries):
        return files.remote.series.patient_id.strip()
    if not files.series:
        return ""
    try:
        dataset = dcmread(files.series[0], force=True, stop_before_pixels=True, specific_tags=["PatientID"])
        return str(dataset.get("PatientID") or "").strip()
    except Exception as error:  # whatever a broken file provokes; reading the series will say so
        logger.debug("%s: no PatientID: %s", files.case, error)
        return ""
