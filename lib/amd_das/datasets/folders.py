"""Folders of cases: labelled MRI as the Decathlon or our phantom lays it out, and head CTs however they lie."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

import numpy as np
from pydicom import dcmread

from amd_das.errors import NotFoundError, TrainingError
from amd_das.reading import Input, ReadingConfig, find_inputs
from amd_das.reading.inputs import NIFTI_SUFFIXES, NRRD_SUFFIXES
from amd_das.volume import Volume

logger = logging.getLogger(__name__)

MRI_LAYOUTS: Final = (("imagesTr", "labelsTr"), ("images", "masks"))
"""Folders of images and of masks: the Medical Segmentation Decathlon's, and `amd-das phantom`'s."""


Subtype = Literal["edh", "iph", "ivh", "sah", "sdh"]
"""Epidural, intraparenchymal, intraventricular, subarachnoid, subdural hemorrhage."""

SUBTYPES: Final = get_args(Subtype)

Lesion = Literal["glioma", "iph", "any"]
"""What a mask outlines: whole tumour, intraparenchymal hemorrhage alone, or hemorrhage of any kind."""


class Remote(Protocol):
    """A DICOM series that lies elsewhere. Other processes get it too, so it must be picklable."""

    @property
    def stamp(self) -> str:
        """Changes when the series does."""

    def fetch(self, folder: Path) -> Sequence[Path]:
        """Bring the files into a folder that does not exist yet."""

    def fetch_mask(self, series: Sequence[Path], path: Path) -> Path:
        """Write the mask of the fetched series, ``path`` ending in .nii.gz; asked only of a case that names a mask."""


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """The files of one case."""

    case: str
    """Unique among the cases found together; never a patient's name."""

    patient: str
    """The same for all cases of a patient: where nothing is known, the case itself."""

    image: Path
    """The file, or the folder of a DICOM series."""

    mask: Path | None = None
    """What is lesion, above 0; None where nobody has said. Of a remote case a mere name, until it is at hand."""

    series: tuple[Path, ...] = ()
    """The files of a DICOM series, whose folder may hold others; empty where the image is one file."""

    remote: Remote | None = None
    """Where the series is to be had; None where it is here."""

    channel: int = 0
    """Which volume of a four-dimensional NIfTI file is the image."""

    lesion: Lesion | None = None
    """What the mask outlines; None where only the user knows."""

    mask_values: tuple[int, ...] = ()
    """Values of the mask that are that lesion; empty: everything above 0."""

    mask_slices: frozenset[int] | None = None
    """Numbers along the mask's last axis that count, from 0; None: all."""

    subtypes: frozenset[Subtype] | None = None
    """Kinds of hemorrhage the set names for the scan; empty: none; None where it does not say."""

    slice_subtypes: Mapping[str, frozenset[Subtype]] = field(default_factory=dict)
    """The same for single slices: by the file's name without suffix (DICOM), or by the number along the last axis."""

    split: str = ""
    """The part of the set as its authors divided it; empty where they did not."""

    provenance: Mapping[str, str] = field(default_factory=dict)
    """What else is recorded of the case: the set, a window that was undone."""

    load_image: "Callable[[CaseFiles, ReadingConfig], Volume] | None" = None
    """For what is no NIfTI, NRRD or DICOM; a function of a module, since other processes get it."""

    load_mask: "Callable[[CaseFiles, ReadingConfig], np.ndarray] | None" = None
    """The same for the mask: (I, J, K) integers on the grid of the image."""


@contextmanager
def at_hand(files: CaseFiles) -> Iterator[CaseFiles]:
    """The case with its files on this disk; what had to be fetched is removed in the end."""
    if files.remote is None:
        yield files
        return
    with tempfile.TemporaryDirectory(prefix="amd-das-") as folder:
        series = tuple(files.remote.fetch(Path(folder) / "series"))
        mask = files.remote.fetch_mask(series, Path(folder) / f"{files.case}.nii.gz") if files.mask else None
        yield replace(files, image=series[0].parent, series=series, mask=mask, remote=None)


def labelled_mri(folder: Path) -> list[CaseFiles]:
    """Skull-stripped FLAIR with whole-tumour masks, by name; every mask is where its image's name says, or None.

    ``imagesTr/NAME.nii.gz`` with ``labelsTr/NAME.nii.gz`` (Decathlon; of several channels the first is FLAIR), or
    ``images/NAME.nii.gz`` with ``masks/NAME-glioma.nii.gz`` or ``masks/NAME.nii.gz``. NRRD will do as well.

    Raises:
        NotFoundError: no such folders.
        TrainingError: DICOM only.
        UnreadableError: no image in them.
    """
    folder = Path(folder)
    layout = next((layout for layout in MRI_LAYOUTS if (folder / layout[0]).is_dir()), None)
    if layout is None:
        expected = " or ".join(f"{images}/ with {masks}/" for images, masks in MRI_LAYOUTS)
        raise NotFoundError(f"{folder} is no folder of labelled MRI: expected {expected} in it")
    images, masks = (folder / name for name in layout)
    found = [one for one in find_inputs([images]) if one.kind != "dicom"]
    if not found:
        raise TrainingError(f"{images} holds DICOM only; convert MRI to NIfTI (dcm2niix) and strip the skull")
    return [_case(one, one.case_id, masks, "glioma") for one in found]


def head_cts(folder: Path, masks: Path | None = None) -> list[CaseFiles]:
    """Every head CT below a folder (NIfTI, NRRD, DICOM series), or below its ``images/`` where there is one.

    Folders named ``labels`` are passed over: a MONAI Label server saves masks there, beside its scans.

    Args:
        folder: where CTs are.
        masks: ``NAME-iph.nii.gz`` or ``NAME.nii.gz`` (or .nrrd) for each CT; NAME is the case or, for DICOM, the
            series' folder. Without it no mask is looked for.

    Raises:
        NotFoundError: a folder does not exist.
        UnreadableError, NotHeadCtError: there is no CT.
    """
    folder = Path(folder)
    if masks is not None and not masks.is_dir():
        raise NotFoundError(f"{masks} is no folder; expected masks named like the CTs, as NAME-iph.nii.gz")
    found = find_inputs([folder / "images" if (folder / "images").is_dir() else folder])
    found = [one for one in found if "labels" not in one.path.relative_to(folder).parts[:-1]]
    if masks is not None:
        found = [one for one in found if masks.resolve() not in one.path.resolve().parents]
    first: dict[str, str] = {}
    cases = []
    for one in sorted(found, key=lambda one: one.case_id):
        person = _patient_id(one) or one.case_id
        cases.append(_case(one, first.setdefault(person, one.case_id), masks, "iph"))
    return cases


def _case(found: Input, patient: str, masks: Path | None, kind: str) -> CaseFiles:
    names = (found.case_id, found.path.name) if found.kind == "dicom" else (found.case_id,)
    places = [
        masks / f"{name}{ending}{suffix}"
        for name in names
        for ending in (f"-{kind}", "")
        for suffix in (*NIFTI_SUFFIXES, *NRRD_SUFFIXES)
        if masks is not None
    ]
    return CaseFiles(
        case=found.case_id,
        patient=patient,
        image=found.path,
        mask=next((place for place in places if place.is_file()), None),
        series=found.files if found.kind == "dicom" else (),
    )


def _patient_id(found: Input) -> str:
    """PatientID of a series, to be compared and forgotten: patients are called by the first of their cases."""
    if found.kind != "dicom":
        return ""
    try:
        dataset = dcmread(found.files[0], force=True, stop_before_pixels=True, specific_tags=["PatientID"])
        return f"PatientID {dataset.PatientID}" if dataset.get("PatientID") else ""
    except Exception as error:  # whatever a broken file provokes; reading the series will say so
        logger.debug("%s: no PatientID: %s", found.case_id, error)
        return ""
