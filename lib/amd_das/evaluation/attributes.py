"""What is known of a case beside its masks: kinds of hemorrhage, and the scanner."""

import csv
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Final

from pydicom import dcmread

from amd_das.datasets.folders import SUBTYPES
from amd_das.errors import UnreadableError
from amd_das.reading import Input

logger = logging.getLogger(__name__)

NONE: Final = "none"
"""A scan that shows no hemorrhage of any kind."""

CLASS_EDGES_ML: Final = (0.0, 5.0, 30.0, 60.0, inf)
"""Of classes of volume, mL: 30 mL as in the ICH score (Hemphill 2001), 60 mL (Broderick 1993); 5 mL ours."""

_TAGS: Final = ("Manufacturer", "ManufacturerModelName")
_YES: Final = {"1", "1.0", "true", "yes", "y"}
_NO: Final = {"", "0", "0.0", "false", "no", "n"}


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Of one case."""

    subtypes: frozenset[str] | None = None
    """Of SUBTYPES; empty: none; None where nobody has said."""

    scanner: str = ""
    """Manufacturer and model; empty where unknown."""

    @property
    def subtype_names(self) -> tuple[str, ...]:
        """Groups the case belongs to; none where nobody has said."""
        if self.subtypes is None:
            return ()
        return tuple(sorted(self.subtypes)) or (NONE,)


def read_table(path: Path) -> dict[str, Attributes]:
    """Attributes by case, of a CSV with a column ``case`` and any of

    - ``subtypes``: names separated by ";" or "," or spaces, "none" for none, empty for unknown; or a column each
      (``edh``, ``iph``, …) with 0 or 1;
    - ``scanner``, or ``manufacturer`` and ``model``.

    Raises:
        UnreadableError: it cannot be read, lacks the column, or says what is not understood.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            names = {name: (name or "").strip().lower() for name in reader.fieldnames or ()}
            rows = [{names[key]: value.strip() for key, value in row.items() if key in names} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{path} cannot be read as CSV: {error}; expected UTF-8 text with a header") from error
    if "case" not in names.values():
        listed = ", ".join(names.values()) or "nothing"
        raise UnreadableError(f"{path} has the columns {listed}; expected one called case, and subtypes or scanner")
    found: dict[str, Attributes] = {}
    for row in rows:
        if row["case"] in found:
            raise UnreadableError(f"{path} lists the case {row['case']} twice; expected one row for each case")
        scanner = row.get("scanner") or " ".join(filter(None, (row.get("manufacturer"), row.get("model"))))
        found[row["case"]] = Attributes(subtypes=_subtypes(row, path), scanner=scanner)
    return found


def scanner_of(image: Input) -> str:
    """Manufacturer and model, from the DICOM header or the JSON that dcm2niix leaves beside a NIfTI file."""
    if image.kind == "dicom":
        try:
            header = dcmread(image.files[0], force=True, stop_before_pixels=True, specific_tags=list(_TAGS))
            return " ".join(filter(None, (str(header.get(tag) or "").strip() for tag in _TAGS)))
        except Exception as error:  # whatever a broken file provokes; reading the series will say so
            logger.debug("%s: no scanner: %s", image.case_id, error)
            return ""
    beside = image.path.with_name(image.path.name.split(".nii")[0].split(".nrrd")[0] + ".json")
    try:
        record = json.loads(beside.read_text())
    except (OSError, ValueError):
        return ""
    if not isinstance(record, Mapping):
        return ""
    named = (record.get(key) for key in ("Manufacturer", "ManufacturersModelName"))
    return " ".join(part for part in named if isinstance(part, str))


def volume_class(volume_ml: float) -> str:
    """Name of the class of a reference volume in mL."""
    if volume_ml <= 0:
        return "no bleed"
    low, high = next((low, high) for low, high in pairwise(CLASS_EDGES_ML) if volume_ml < high)
    return f"{low:g} to {high:g} mL" if low and high < inf else f"≥ {low:g} mL" if low else f"< {high:g} mL"


CLASSES: Final = ("no bleed", *(volume_class(low + 1e-6) for low in CLASS_EDGES_ML[:-1]))
"""All classes, ascending."""


def _subtypes(row: Mapping[str, str], path: Path) -> frozenset[str] | None:
    own = [name for name in SUBTYPES if name in row]
    if "subtypes" not in row and not own:
        return None
    for name in own:
        if row[name].lower() not in _YES | _NO:
            raise UnreadableError(f"{path}: case {row['case']} has {name} = {row[name]!r}; expected 0 or 1")
    shown = {name for name in own if row[name].lower() in _YES}
    if own:
        return frozenset(shown)
    words = row["subtypes"].lower().replace(";", " ").replace(",", " ").split()
    if unknown := sorted(set(words) - {*SUBTYPES, NONE}):
        raise UnreadableError(
            f"{path}: case {row['case']} has the subtype {unknown[0]!r}; expected {', '.join(SUBTYPES)} or {NONE}"
        )
    return frozenset(words) - {NONE} if words else None
