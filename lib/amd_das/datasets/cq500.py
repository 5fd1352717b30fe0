"""CQ500 (Qure.ai): DICOM series in folders named by what they show, and three radiologists' reads of each scan.

Followed: Chilamkurthy et al. 2018 and the archives' names: ``CQ500CT0 CQ500CT0/Unknown Study/CT Plain/CT000000.dcm``;
``reads.csv`` with ``name`` (CQ500-CT-0), ``Category`` and ``R1:ICH``, ``R1:IPH``, ``R1:IVH``, ``R1:SDH``, ``R1:EDH``,
``R1:SAH`` … for R1 to R3. A kind counts when two of three say it. Reads are of whole scans, not of slices.

Ours: series after contrast, bone kernels and reformations are left out by the folder's name, and of the others the one
with the fewest slices is taken (the target's slices are thick), of at least twelve.
"""

import re
from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion, Subtype
from amd_das.datasets.layout import Found, Layout, below, listed, rows_of, subtypes_in
from amd_das.errors import TrainingError
from amd_das.reading.dicom_files import is_dicom

READS: Final = "reads.csv"
LEAST_SLICES: Final = 12
_READERS: Final = ("R1", "R2", "R3")
_KINDS: Final[tuple[Subtype, ...]] = ("iph", "ivh", "sdh", "edh", "sah")
_SCAN: Final = re.compile(r"^CQ500CT(\d+)( CQ500CT\d+)?$", re.IGNORECASE)
_OTHER: Final = re.compile(r"contrast|\bCECT\b|\bC\b|oral|bone|MIP|angio|\bDMPR\b|sag|cor(onal)?\b", re.IGNORECASE)
_PLAIN: Final = re.compile(r"pre[ _-]?contrast|plain", re.IGNORECASE)


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """One plain series for each scan; ``reads.csv``, where it lies there too, gives the kinds.

    Raises:
        ConfigError: the table is not CQ500's.
        TrainingError: there is no scan with a plain series.
    """
    scans = _scans(folder)
    table = next((place / READS for place in (folder, folder.parent) if (place / READS).is_file()), None)
    reads = read_reads(table) if table else {}
    cases, without, unread, left_out = [], [], [], 0
    for number, place in sorted(scans.items()):
        series = _series(place)
        plain = {name: files for name, files in series.items() if _is_plain(name) and len(files) >= LEAST_SLICES}
        left_out += len(series) - len(plain)
        if not plain:
            without.append(f"CQ500CT{number}")
            continue
        name = min(plain, key=lambda one: (len(plain[one]), one))
        kinds = reads.get(number)
        if table and kinds is None:
            unread.append(f"CQ500CT{number}")
        cases.append(
            CaseFiles(
                case=f"CQ500CT{number}",
                patient=f"CQ500CT{number}",
                image=plain[name][0].parent,
                series=plain[name],
                subtypes=kinds,
                provenance={"series": name},
            )
        )
    if not cases:
        raise TrainingError(
            f"{folder} holds no plain head CT of CQ500 ({len(without)} scans without one); expected "
            "'CQ500CT0 CQ500CT0/Unknown Study/CT Plain/CT000000.dcm'"
        )
    problems = []
    if without:
        problems.append(f"{len(without)} scan(s) without a plain series of {LEAST_SLICES} slices: {listed(without)}")
    if unread:
        problems.append(f"{len(unread)} scan(s) not in {READS}: {listed(unread)}")
    if missing := sorted(reads.keys() - scans.keys()):
        problems.append(f"{len(missing)} scan(s) of {READS} are missing: {listed(f'CQ500CT{one}' for one in missing)}")
    notes = [f"one plain series of each scan; {left_out} with contrast, of bone or of few slices left out"]
    if not table:
        notes.append(f"no {READS} there, so nothing is known of the kinds of hemorrhage")
    return Found(cases=tuple(cases), problems=tuple(problems), notes=tuple(notes))


def read_reads(table: Path) -> dict[int, frozenset[Subtype]]:
    """Scan's number → the kinds of hemorrhage that most readers saw."""
    columns = [f"{reader}:{kind.upper()}" for reader in _READERS for kind in _KINDS]
    found: dict[int, frozenset[Subtype]] = {}
    for row in rows_of(table, ("name", *columns)):
        seen = [subtypes_in(row, {f"{reader}:{kind.upper()}": kind for kind in _KINDS}) for reader in _READERS]
        number = row["name"].rpartition("-")[2]
        if number.isdigit():
            found[int(number)] = frozenset(kind for kind in _KINDS if sum(kind in one for one in seen) >= 2)
    return found


def _scans(folder: Path) -> dict[int, Path]:
    """Scan's number → its folder, here or one folder further down (``qct01`` and so on)."""
    places = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir())] if folder.is_dir() else []
    found = ((match, path) for place in places for path in sorted(place.iterdir()) if (match := _SCAN.match(path.name)))
    return {int(match[1]): path for match, path in found if path.is_dir()}


def _series(scan: Path) -> dict[str, tuple[Path, ...]]:
    """Folder's name → its DICOM files."""
    places = sorted({path.parent for path in scan.rglob("*.dcm")})
    return {place.name: tuple(path for path in sorted(place.glob("*.dcm")) if is_dicom(path)) for place in places}


def _is_plain(name: str) -> bool:
    return bool(_PLAIN.search(name)) or not _OTHER.search(name)


def recognise(folder: Path) -> bool:
    """Whether a folder is named as CQ500's scans."""
    return bool(_scans(below(folder)))


LAYOUT = Layout(
    name="cq500",
    title="CQ500",
    side="target",
    needs="'CQ500CT0 CQ500CT0'/…/*.dcm for each scan, and reads.csv",
    lesions=(),
    terms="CC BY-NC-SA 4.0 and an end user agreement, http://headctstudy.qure.ai/dataset",
    recognise=recognise,
    find=find,
)
