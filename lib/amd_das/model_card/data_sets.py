"""Which data sets a version was learnt from, and under which terms those are distributed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from amd_das.datasets.registry import ANY, LAYOUTS
from amd_das.slices.index import CaseSlices

PHANTOM, OWN, UNKNOWN = "phantom", "own", "unknown"
"""Names of what is no public set: computer-made heads, a folder or PACS of the user's, and what no record tells."""

UNVERIFIED: Final = "unverified"

_OTHERS: Final[Mapping[str, tuple[str, str]]] = {
    PHANTOM: (
        "Computer-made heads (amd-das phantom)",
        "Apache-2.0; their anatomy is the MNI152 2009a template's tissue maps as nilearn carries them",
    ),
    OWN: ("Scans of whoever trained", f"{UNVERIFIED}: whoever trained knows the terms"),
    UNKNOWN: ("Not recorded", UNVERIFIED),
}
"""Name → title and terms."""

_NAMES_OF_PHANTOMS: Final = "phantom-"


def used(cases: Iterable[CaseSlices], use: str) -> list[dict[str, Any]]:
    """A line for each data set among cases, for a version's record.

    Args:
        cases: as slices were made of them.
        use: what they were to the training, in words.
    """
    counts: Counter[str] = Counter()
    slices: Counter[str] = Counter()
    for case in cases:
        name = case.provenance.get("set") or (PHANTOM if case.case.startswith(_NAMES_OF_PHANTOMS) else OWN)
        counts[name] += 1
        slices[name] += len(case)
    return [{"set": name, "use": use, "cases": counts[name], "slices": slices[name]} for name in sorted(counts)]


def data_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a version's record; of one that has none, what its words tell."""
    if "data_sets" in training:
        return [dict(line) for line in training["data_sets"]]
    words = str(training.get("data", ""))
    return [{"set": PHANTOM if "phantom" in words else UNKNOWN, "use": words or "not recorded"}]


def inherited(training: Mapping[str, Any], version: str) -> list[dict[str, Any]]:
    """The same of a version that another was fine-tuned from: whose weights those are, its data remain."""
    return [{**line, "through": line.get("through", version)} for line in data_of(training)]


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: set, what for, how much, terms."""
    rows = ["| data set | used as | cases | slices | licence or terms |", "|---|---|---|---|---|"]
    for line in lines:
        title, terms = title_and_terms(str(line["set"]))
        through = f" (through {line['through']})" if line.get("through") else ""
        counts = (line.get("cases", "–"), line.get("slices", "–"))
        rows.append(f"| {cell(title)} | {cell(line['use'])}{through} | {counts[0]} | {counts[1]} | {terms} |")
    return "\n".join(rows)


def cell(value: object) -> str:
    """As it can stand in a table of Markdown."""
    return " ".join(str(value).split()).replace("|", "\\|")


def licences(lines: Sequence[Mapping[str, Any]]) -> str:
    """The same as plain text, each set once."""
    told = dict.fromkeys(title_and_terms(str(line["set"])) for line in lines)
    listed = "\n".join(f"{title}\n    {terms}\n" for title, terms in told)
    return (
        "The weights were learnt from the data below. No image of it is in this folder. Terms are noted as its makers\n"
        "publish them; read them there before you use or pass on what was learnt from it.\n\n" + listed
    )


def sources(lines: Sequence[Mapping[str, Any]]) -> str:
    """The same in one line."""
    told = dict.fromkeys(title_and_terms(str(line["set"])) for line in lines)
    return "; ".join(f"{title}: {terms}" for title, terms in told)


def title_and_terms(name: str) -> tuple[str, str]:
    """Of a public set by its layout's name, or of one of the others; unverified where nothing is known."""
    layouts = {layout.name: layout for layout in LAYOUTS if layout not in ANY}
    if name in layouts:
        return layouts[name].title, layouts[name].terms
    return _OTHERS.get(name, (name, UNVERIFIED))
