"""PhysioNet CT-ICH from version 1.3 on: NIfTI scans with masks of all hemorrhage, and a table of kinds by slice.

Followed: the set's readme (Hssayeni 2020, version 1.3.1): ``ct_scans/049.nii``, ``masks/049.nii``,
``hemorrhage_diagnosis_raw_ct.csv`` with ``PatientNumber``, ``SliceNumber`` (from 1), ``Intraventricular``,
``Intraparenchymal``, ``Subarachnoid``, ``Epidural``, ``Subdural``, ``No_Hemorrhage``, ``Fracture_Yes_No``. Scans 59 to
65 are absent from the set. Which end slice 1 is at is taken from the authors' ``split_raw_data.py``: index 0 of the
last axis.

Masks say hemorrhage, not its kind. As IPH count the masks of slices whose only kind is IPH; a scan with another kind
beside IPH on one slice cannot be told apart there, and is left out.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion, Subtype
from amd_das.datasets.layout import NAMES, Found, Layout, below, listed, paired, rows_of, stem, subtypes_in, volumes_in
from amd_das.errors import TrainingError

TABLE: Final = "hemorrhage_diagnosis_raw_ct.csv"
_KINDS: Final = {name.capitalize(): kind for name, kind in NAMES.items()}

SliceKinds = Mapping[str, frozenset[Subtype]]


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Every scan with its mask and its row of the table.

    Raises:
        ConfigError: the table is not CT-ICH's.
        TrainingError: there is no scan with a mask.
    """
    folder = below(folder, "ct_scans")
    kinds = read_kinds(folder / TABLE)
    pairs, problems = paired(volumes_in(folder / "ct_scans"), volumes_in(folder / "masks"), str(folder / "ct_scans"))
    cases, untold = [], []
    for image, mask in pairs:
        name = stem(image)
        slices = kinds.get(int(name)) if name.isdigit() else None
        if slices is None:
            untold.append(name)
        cases.append(
            CaseFiles(
                case=f"ct-ich-{name}",
                patient=f"ct-ich-{name}",
                image=image,
                mask=mask,
                lesion="any",
                subtypes=None if slices is None else frozenset().union(*slices.values()),
                slice_subtypes=slices or {},
            )
        )
    if untold:
        problems.append(f"{len(untold)} scan(s) not in {TABLE}: {listed(untold)}")
    return as_lesion(Found(cases=tuple(cases), problems=tuple(problems)), lesion)


def read_kinds(table: Path) -> dict[int, SliceKinds]:
    """Patient's number → number of the slice, from 0, as text → kinds of hemorrhage."""
    found: dict[int, dict[str, frozenset[Subtype]]] = defaultdict(dict)
    for row in rows_of(table, ("PatientNumber", "SliceNumber", *_KINDS)):
        if row["PatientNumber"].isdigit() and row["SliceNumber"].isdigit():
            found[int(row["PatientNumber"])][str(int(row["SliceNumber"]) - 1)] = subtypes_in(row, _KINDS)
    return dict(found)


def as_lesion(found: Found, lesion: Lesion | None) -> Found:
    """The same cases with masks of IPH alone where that is asked for."""
    if lesion != "iph":
        return found
    kept, mixed = [], []
    for case in found.cases:
        kinds = case.slice_subtypes
        if not kinds or any("iph" in one and len(one) > 1 for one in kinds.values()):
            mixed.append(case.case)
            continue
        alone = frozenset(int(number) for number, one in kinds.items() if one == {"iph"})
        kept.append(replace(case, lesion="iph", mask_slices=alone))
    if not kept:
        raise TrainingError(
            f"IPH cannot be told from other hemorrhage in any of the {len(found.cases)} scans; use --lesion any"
        )
    note = (f"{len(mixed)} scan(s) left out, where IPH and another kind share a slice and one mask: {listed(mixed)}",)
    return replace(found, cases=tuple(kept), notes=found.notes + (note if mixed else ()))


def recognise(folder: Path) -> bool:
    """Whether the table of NIfTI scans lies beside them."""
    folder = below(folder, "ct_scans")
    return (folder / "ct_scans").is_dir() and ((folder / TABLE).is_file() or (folder / "masks").is_dir())


LAYOUT = Layout(
    name="ct-ich",
    title="PhysioNet CT-ICH 1.3 (NIfTI)",
    side="target",
    needs=f"ct_scans/049.nii, masks/049.nii and {TABLE}",
    lesions=("iph", "any"),
    terms="PhysioNet Restricted Health Data License 1.5.0, https://physionet.org/content/ct-ich/1.3.1/",
    recognise=recognise,
    find=find,
)
