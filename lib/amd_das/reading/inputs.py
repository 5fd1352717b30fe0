"""What there is to segment: files and DICOM series under the paths a user gives, without reading any pixels."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from amd_das.errors import InputError, NotFoundError, NotHeadCtError, UnreadableError
from amd_das.reading.checks import file_case_id
from amd_das.reading.dicom_files import DicomHeader, is_dicom, read_header, series_case_id

logger = logging.getLogger(__name__)

NIFTI_SUFFIXES: Final = (".nii.gz", ".nii")
NRRD_SUFFIXES: Final = (".nrrd",)
MASK_ENDINGS: Final = ("_mask", "-mask", "_seg", "-seg", "_label", "-label")
"""Files that end so are masks and passed over in a folder; named themselves, they are taken."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One case: an image file, or the files of one DICOM series."""

    path: Path
    """The file, or the folder that holds the series."""

    files: tuple[Path, ...]
    """All files of the case; one except for DICOM."""

    kind: str
    """ "nifti", "nrrd" or "dicom"."""

    case_id: str
    """Name for results, unique among the inputs found together; never a patient's name."""

    description: str
    """What it is, without anything about the patient."""


@dataclass(kw_only=True)
class _Series:
    """A DICOM series while its files are being gathered."""

    header: DicomHeader
    files: list[Path] = field(default_factory=list)


def find_inputs(paths: Sequence[Path]) -> list[Input]:
    """Every image among ``paths``: files, DICOM series (also several in one folder), and folders of those.

    DICOM files are put together by their series, wherever under ``paths`` they lie. Localizers, dose reports and
    secondary captures are left out, and so are files in folders that are no images, or masks (``MASK_ENDINGS``).
    A DICOM file that cannot be read stays with the series beside it, so that reading the series says so.

    Raises:
        NotFoundError: a path does not exist.
        UnreadableError: a file is of no known format, or a folder holds no image.
        NotHeadCtError: there is DICOM, but no slice in it.
    """
    inputs: dict[str, Input] = {}
    for path in map(Path, paths):
        for found in _images_at(path):
            key = str(found.files[0].resolve()) if found.kind != "dicom" else found.case_id
            known = inputs.get(key)
            if known is not None and known.kind == "dicom":
                found = _joined(known, found)
            inputs[key] = found
    return _with_unique_ids(list(inputs.values()))


def _images_at(path: Path) -> list[Input]:
    if not path.exists():
        raise NotFoundError(f"{path} does not exist; expected a .nii, .nii.gz, .nrrd or DICOM file, or a folder")
    if not path.is_dir() and not path.is_file():
        raise UnreadableError(f"{path.name} is neither a file nor a folder; give an image file or a folder of them")
    candidates = [file for file in _walk(path) if not _is_mask(file)] if path.is_dir() else [path]
    plain = [_plain(file, kind) for file in candidates if (kind := _plain_kind(file))]
    others = [file for file in candidates if not _plain_kind(file)]
    dicom = [file for file in others if is_dicom(file)]
    if candidates == [path] and not plain and not dicom:
        raise UnreadableError(
            f"{path.name}: {_suffix(path)} is no format this can read; expected .nii, .nii.gz, .nrrd or a DICOM file"
        )
    series, left_out = _series(dicom, path)
    if not plain and not series:
        if left_out:
            what = ", ".join(f"{left_out.count(reason)} {reason}(s)" for reason in sorted(set(left_out)))
            raise NotHeadCtError(f"{path.name} holds no CT slices, only {what}; give the axial CT series")
        raise UnreadableError(f"the folder {path.name} holds no image; expected .nii, .nii.gz, .nrrd or DICOM files")
    return plain + series


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in a stable order; hidden ones and links to folders are passed over."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _plain_kind(path: Path) -> str:
    name = path.name.lower()
    return "nifti" if name.endswith(NIFTI_SUFFIXES) else "nrrd" if name.endswith(NRRD_SUFFIXES) else ""


def _plain(path: Path, kind: str) -> Input:
    return Input(
        path=path, files=(path,), kind=kind, case_id=file_case_id(path), description=f"{kind} file {path.name}"
    )


def _is_mask(path: Path) -> bool:
    return bool(_plain_kind(path)) and file_case_id(path).lower().endswith(MASK_ENDINGS)


def _series(files: Sequence[Path], given: Path) -> tuple[list[Input], list[str]]:
    """DICOM files by series, and why the others were left out."""
    series: dict[str, _Series] = {}
    left_out: list[str] = []
    broken: list[Path] = []
    for path in files:
        try:
            header = read_header(path)
        except InputError as error:
            logger.info("kept with the series beside it: %s", error)
            broken.append(path)
            continue
        if header.left_out:
            left_out.append(header.left_out)
            logger.info("left out %s: %s", path.name, header.left_out)
            continue
        series.setdefault(header.series_uid or str(path), _Series(header=header)).files.append(path)
    if broken and not series:
        return [_dicom(DicomHeader(series_uid="", modality="", left_out=""), broken, given)], left_out
    for one in series.values():
        beside = {path.parent for path in one.files}
        one.files += [path for path in broken if path.parent in beside]
    return [_dicom(one.header, one.files, given) for one in series.values()], left_out


def _dicom(header: DicomHeader, files: Sequence[Path], given: Path) -> Input:
    path = files[0] if len(files) == 1 and given.is_file() else files[0].parent
    uid = header.series_uid
    return Input(
        path=path,
        files=tuple(files),
        kind="dicom",
        case_id=series_case_id(uid) if uid else file_case_id(files[0]),
        description=f"{len(files)} {header.modality or 'unknown'} slice(s), series UID ending in …{uid[-8:]}",
    )


def _joined(one: Input, other: Input) -> Input:
    """The same series met twice: its files together, each once."""
    files = tuple({path.resolve(): path for path in (*one.files, *other.files)}.values())
    description = f"{len(files)} {one.description.split(' ', 1)[1]}"
    return replace(one, path=files[0].parent, files=files, description=description)


def _suffix(path: Path) -> str:
    return f"the suffix {path.suffix!r}" if path.suffix else "a file without suffix"


def _with_unique_ids(inputs: Sequence[Input]) -> list[Input]:
    """Files of one name in different folders get -2, -3 and so on."""
    taken: set[str] = set()
    unique = []
    for found in inputs:
        case_id, count = found.case_id, 1
        while case_id in taken:
            count += 1
            case_id = f"{found.case_id}-{count}"
        taken.add(case_id)
        unique.append(replace(found, case_id=case_id))
    return unique
