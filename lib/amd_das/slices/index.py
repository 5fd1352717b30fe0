"""The index of a slice store: a header and a line for each case, and how both are read."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from amd_das.errors import ConfigError
from amd_das.preprocessing.grid import SIZE

logger = logging.getLogger(__name__)

Domain = Literal["source", "target", "pseudo_ct"]

FORMAT: Final = "amd-das slices"
VERSION: Final = 1
FILE_NAME: Final = "index.jsonl"


@dataclass(frozen=True, kw_only=True)
class CaseSlices:
    """What the index says of one case; its slices lie together, in ascending order."""

    case: str
    """Unique in the store."""

    patient: str
    """Whose it is, so that no patient straddles a split; never a name or a hospital's number."""

    spacing_mm: tuple[float, float, float]
    """Slice distance, row and column as acquired, mm."""

    spacing_known: bool
    """False where the field of view was scaled to 240 pixels instead."""

    numbers: tuple[int, ...]
    """(n,) slice numbers in the preprocessed axial grid."""

    brain_px: tuple[int, ...]
    """(n,) pixels of brain."""

    lesion_px: tuple[int, ...]
    """(n,) pixels of lesion, see :func:`amd_das.slices.store.lesion_pixels`."""

    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where it came from: file name without folder, sha256, modality, version."""

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(kw_only=True)
class Index:
    """What the whole lines of an index say; a last line without its end is as good as not there."""

    header: dict[str, Any] | None = None
    cases: dict[str, CaseSlices] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    length: int = 0
    """Bytes of these lines."""

    digest: str = ""
    """Of the header and the cases; failures have no part in it."""

    @classmethod
    def parse(cls, content: bytes, directory: Path, *, held: int | None = None) -> "Index":
        """Read lines, as far as the ``held`` slices that the pixel files have (None: all)."""
        index, slices, digest = cls(), 0, hashlib.sha256()
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                break
            try:
                record = json.loads(line)
                if number == 1:
                    index.header = _checked_header(record, directory)
                elif "error" in record:
                    index.failures[record["case"]] = record["error"]
                else:
                    case = _case(record)
                    slices += len(case)
                    if held is not None and slices > held:
                        logger.warning("%s: pixels from %s on are lost; made again", directory, case.case)
                        break
                    index.add(case)
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"line {number} of {directory / FILE_NAME} is damaged ({error}); remove the folder and prepare it "
                    "again"
                ) from error
            index.length += len(line)
            digest.update(b"" if "error" in record else line)
        index.digest = digest.hexdigest()
        return index

    def add(self, case: CaseSlices) -> None:
        self.cases[case.case] = case
        self.failures.pop(case.case, None)


def header_of(domain: Domain, *, labelled: bool, config: Mapping[str, Any]) -> dict[str, Any]:
    """The first line of an index, as it is read again."""
    header = {"format": FORMAT, "version": VERSION, "domain": domain, "labelled": labelled, "size": SIZE}
    return json.loads(json.dumps({**header, "config": dict(config)}))


def line_of(record: Mapping[str, Any]) -> bytes:
    """One line of an index."""
    return json.dumps(record).encode() + b"\n"


def _checked_header(record: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    found = (record.get("format"), record.get("version"), record.get("size"))
    if found != (FORMAT, VERSION, SIZE):
        raise ConfigError(
            f"{directory / FILE_NAME} is {found[0]!r} version {found[1]} of size {found[2]}; expected {FORMAT!r} "
            f"version {VERSION} of size {SIZE}. Prepare the slices again in another folder."
        )
    if record["domain"] not in get_args(Domain):
        raise ValueError(f"domain {record['domain']!r}")
    return {**record, "labelled": bool(record["labelled"]), "config": dict(record["config"])}


def _case(record: Mapping[str, Any]) -> CaseSlices:
    lists = {name: tuple(map(int, record[name])) for name in ("numbers", "brain_px", "lesion_px")}
    if len({len(values) for values in lists.values()}) > 1:
        raise ValueError(f"case {record['case']} has lists of different lengths")
    depth, row, column = map(float, record["spacing_mm"])
    return CaseSlices(**{**record, **lists, "spacing_mm": (depth, row, column)})
