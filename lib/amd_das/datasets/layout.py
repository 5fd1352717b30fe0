"""What a data set's layout says of itself, and what every layout's reader gives back."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from amd_das.datasets.folders import SUBTYPES, CaseFiles, Lesion, Subtype
from amd_das.errors import ConfigError, TrainingError
from amd_das.reading.checks import file_case_id
from amd_das.reading.inputs import NIFTI_SUFFIXES, NRRD_SUFFIXES

Side = Literal["source", "target"]

NAMES: Final[Mapping[str, Subtype]] = {
    "epidural": "edh",
    "intraparenchymal": "iph",
    "intraventricular": "ivh",
    "subarachnoid": "sah",
    "subdural": "sdh",
}
"""The words of RSNA's and PhysioNet's tables."""

_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """The cases of a folder, and what the user should know of them."""

    cases: tuple[CaseFiles, ...]

    problems: tuple[str, ...] = ()
    """What is missing or superfluous; the cases named there are in ``cases`` only if they can be used."""

    notes: tuple[str, ...] = ()
    """What was decided on the way, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A data set as it is distributed."""

    name: str
    """What ``--layout`` is given."""

    title: str
    side: Side
    needs: str
    """What the folder has to hold."""

    lesions: tuple[Lesion, ...]
    """What its masks can outline, the best first; empty where it has none."""

    terms: str
    """Its licence or terms of use, and where they are to be read."""

    recognise: Callable[[Path], bool]
    """Whether a folder has this layout, by a look at a few names."""

    find: Callable[[Path, Lesion | None], Found]
    """The cases of a folder; masks, where there are any, of that lesion."""


def listed(names: Iterable[object]) -> str:
    """The first few names of many."""
    words = [str(name) for name in names]
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


def stem(path: Path) -> str:
    """The file's name without its image suffix, as case names are made."""
    return file_case_id(path)


def volumes_in(folder: Path) -> list[Path]:
    """NIfTI and NRRD files right in a folder, by name; hidden ones are passed over. Empty where there is no folder."""
    if not folder.is_dir():
        return []
    suffixes = (*NIFTI_SUFFIXES, *NRRD_SUFFIXES)
    return sorted(
        path for path in folder.iterdir() if path.name.lower().endswith(suffixes) and not path.name.startswith(".")
    )


def below(folder: Path, *names: str) -> Path:
    """The folder itself or, where an archive was unpacked into it, the one subfolder that holds all these names."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    return next((place for place in places if all((place / name).exists() for name in names)), folder)


Pairs = list[tuple[Path, Path | None]]
"""Images, each with its mask."""


def paired(images: Sequence[Path], masks: Sequence[Path], where: str) -> tuple[Pairs, list[str]]:
    """Images with the masks of their names, and what has no counterpart.

    Raises:
        TrainingError: there are no images, or two of one name.
    """
    by_name = {stem(path): path for path in masks}
    names = [stem(path) for path in images]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TrainingError(f"{where} holds two images of one name ({listed(twice)}); keep one of each")
    if not images:
        raise TrainingError(f"{where} holds no images" + (f", only {len(masks)} masks" if masks else ""))
    pairs = [(path, by_name.get(name)) for path, name in zip(images, names, strict=True)]
    alone = sorted(by_name.keys() - set(names))
    bare = [name for name, (_, mask) in zip(names, pairs, strict=True) if mask is None]
    problems = []
    if alone:
        problems.append(f"{len(alone)} label(s) without an image: {listed(alone)}; complete the download")
    if bare:
        problems.append(f"{len(bare)} image(s) without a label: {listed(bare)}; complete the download")
    return pairs, problems


def rows_of(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, column names stripped.

    Raises:
        ConfigError: it cannot be read, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {(key or "").strip(): (value or "").strip() for key, value in row.items() if key is not None}
                for row in csv.DictReader(file)
            ]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read ({error}); download it again") from error
    missing = [column for column in needed if not rows or column not in rows[0]]
    if missing:
        raise ConfigError(f"{path.name} lacks the column(s) {listed(missing)}; expected the table as it is distributed")
    return rows


def subtypes_in(row: Mapping[str, str], columns: Mapping[str, Subtype]) -> frozenset[Subtype]:
    """The kinds of hemorrhage a row says yes to.

    Raises:
        ConfigError: a value is neither 0 nor 1.
    """
    wrong = {column: row.get(column, "") for column in columns if row.get(column) not in ("0", "1", "0.0", "1.0")}
    if wrong:
        column, value = next(iter(wrong.items()))
        raise ConfigError(f"{column} is {value!r}; expected 0 or 1 in the table of labels")
    return frozenset(kind for column, kind in columns.items() if float(row[column]) == 1)


def counted(cases: Sequence[CaseFiles]) -> str:
    """Cases, patients, masks, and how many show which kind of hemorrhage, in words."""
    patients = len({case.patient for case in cases})
    parts = [f"{len(cases)} case{'s'[: len(cases) != 1]} of {patients} patient{'s'[: patients != 1]}"]
    parts += [f"{count} with a mask"] if (count := sum(case.mask is not None for case in cases)) else []
    known = [case.subtypes for case in cases if case.subtypes is not None]
    if known:
        kinds = Counter(kind for kinds in known for kind in kinds)
        parts += [f"{kind.upper()} {kinds[kind]}" for kind in SUBTYPES if kinds[kind]]
        parts += [f"none {none}"] if (none := sum(not kinds for kinds in known)) else []
    splits = Counter(case.split for case in cases if case.split)
    return ", ".join([*parts, *(f"{name} {count}" for name, count in sorted(splits.items()))])
