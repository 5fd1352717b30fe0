"""Every layout by name, and which one a folder has."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from amd_das.datasets import (
    bhsd,
    brats,
    cq500,
    ct_ich,
    ct_ich_jpg,
    decathlon,
    hemseg200,
    instance22,
    pairs,
    plain_cts,
    rsna,
    tcga_lgg,
)
from amd_das.datasets.folders import SUBTYPES, CaseFiles, Lesion, Subtype, head_cts
from amd_das.datasets.layout import Found, Layout, Side, counted, listed
from amd_das.errors import ConfigError, NotFoundError, TrainingError

LAYOUTS: Final = (
    rsna.LAYOUT,
    tcga_lgg.LAYOUT,
    cq500.LAYOUT,
    ct_ich_jpg.LAYOUT,
    ct_ich.LAYOUT,
    bhsd.LAYOUT,
    hemseg200.LAYOUT,
    instance22.LAYOUT,
    decathlon.LAYOUT,
    brats.LAYOUT,
    pairs.LAYOUT,
    plain_cts.LAYOUT,
)
"""In the order in which they are tried: the narrower before the wider, and what needs few looks first."""

ANY: Final = (pairs.LAYOUT, plain_cts.LAYOUT)
"""What a folder is taken for when it is no known set."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The cases of a folder, and of which set they are."""

    layout: Layout
    found: Found

    @property
    def cases(self) -> list[CaseFiles]:
        return list(self.found.cases)

    def summary(self) -> str:
        """What was detected, in one line."""
        return f"{self.layout.name}: {self.layout.title}, {counted(self.found.cases)}"


def layout_named(name: str, side: Side) -> Layout:
    """The layout of this name.

    Raises:
        ConfigError: there is none, or it is of the other side.
    """
    known = {layout.name: layout for layout in LAYOUTS}
    if name not in known:
        names = ", ".join(layout.name for layout in LAYOUTS if layout.side == side)
        raise ConfigError(f"no layout {name!r}; as {side} there are: {names}")
    if known[name].side != side:
        raise ConfigError(
            f"{known[name].title} is a {known[name].side}, not a {side}; use `prepare {known[name].side}`"
        )
    return known[name]


def detect(folder: Path, side: Side) -> Layout:
    """The layout of a folder.

    Raises:
        NotFoundError: there is no such folder, or nothing in it that could be of this side.
        ConfigError: it is a known set of the other side.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is no folder; expected the folder of a data set")
    for layout in LAYOUTS:
        if (layout in ANY and layout.side != side) or not layout.recognise(folder):
            continue
        return layout_named(layout.name, side)
    expected = "; ".join(f"{layout.name}: {layout.needs}" for layout in LAYOUTS if layout.side == side)
    raise NotFoundError(f"{folder} is no folder of labelled MRI in a layout that is known. Expected one of: {expected}")


def find_cases(
    folder: Path, side: Side, *, layout: str | None = None, lesion: Lesion | None = None, masks: Path | None = None
) -> DataSet:
    """The cases of a folder; no pixel is read.

    Args:
        folder: of a data set as it is distributed, or any folder of images.
        side: what they are to be.
        layout: a layout's name; None to detect it.
        lesion: what masks shall outline; None for the first that the set can tell.
        masks: of CTs in a plain folder.

    Raises:
        ConfigError: the layout is unknown or of the other side; its masks cannot tell that lesion; masks for a set that
            has its own; a table is not the set's.
        NotFoundError, TrainingError, InputError: nothing of it is there.
    """
    chosen = layout_named(layout, side) if layout else detect(folder, side)
    if not Path(folder).is_dir():
        raise NotFoundError(f"{folder} is no folder; expected {chosen.needs}")
    if masks is not None:
        if chosen is not plain_cts.LAYOUT:
            raise ConfigError(f"{chosen.title} has masks of its own; leave --masks out, or say --layout cts")
        found = Found(cases=tuple(head_cts(Path(folder), masks)))
    else:
        wanted = lesion or (chosen.lesions[0] if chosen.lesions else None)
        if wanted and chosen.lesions and wanted not in chosen.lesions:
            raise ConfigError(
                f"the masks of {chosen.title} cannot tell {_words(wanted)}: they show {_words(chosen.lesions[0])}. Use "
                f"--lesion {chosen.lesions[0]}, and do not compare the result with IPH"
            )
        found = chosen.find(Path(folder), wanted)
    marked = tuple(
        replace(case, provenance={"set": chosen.name, **case.provenance}) if chosen not in ANY else case
        for case in found.cases
    )
    return DataSet(layout=chosen, found=replace(found, cases=marked))


def select(data: DataSet, subtype: Subtype) -> DataSet:
    """Only cases that show a kind of hemorrhage, by the set's own labels.

    Raises:
        ConfigError: no such kind.
        TrainingError: the set has no such labels, or none shows it.
    """
    if subtype not in SUBTYPES:
        raise ConfigError(f"no kind of hemorrhage {subtype!r}; expected one of {', '.join(SUBTYPES)}")
    told = [case for case in data.cases if case.subtypes is not None]
    if not told:
        raise TrainingError(
            f"{data.layout.title} does not say which kinds of hemorrhage its scans show; leave --label out"
        )
    kept = tuple(case for case in told if subtype in (case.subtypes or ()))
    if not kept:
        raise TrainingError(f"nothing is selected: none of {len(told)} cases shows {subtype.upper()} ({counted(told)})")
    return replace(data, found=replace(data.found, cases=kept))


def check_official_split(cases: Sequence[CaseFiles]) -> None:
    """The set's own division into parts must not divide a patient.

    Raises:
        TrainingError: it does, or there is none.
    """
    parts: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        parts[case.patient].add(case.split)
    if set().union(*parts.values()) <= {""}:
        raise TrainingError("the set comes without a division into parts; leave --official-split out")
    torn = sorted(patient for patient, names in parts.items() if len(names) > 1)
    if torn:
        raise TrainingError(
            f"{len(torn)} patient(s) are in two parts of the set's own split: {listed(torn)}; a score on it would be "
            "too high. Leave --official-split out: patients are then divided anew, each whole"
        )


def _words(lesion: Lesion) -> str:
    return {"iph": "IPH", "any": "hemorrhage of any kind in one class", "glioma": "whole tumours"}[lesion]
