"""What a result says in numbers: one JSON record per scan, one CSV row per scan of a run."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from amd_das import __version__
from amd_das.conventions import LABELS, RESEARCH_NOTICE
from amd_das.files import write_whole
from amd_das.inference import Segmentation
from amd_das.measurement import Lesion
from amd_das.volume import Volume


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One scan in ``summary.csv``; empty cells where there is no value."""

    case: str
    """The case id; result files bear this name."""

    status: Literal["ok", "error"]

    volume_ml: float | None = None
    """All lesions together, mL; 0 for a scan without hemorrhage."""

    n_lesions: int | None = None

    largest_ml: float | None = None
    """Volume of the largest lesion, mL."""

    abc2_ml: float | None = None
    """ABC/2 of the largest lesion, mL."""

    warnings: str = ""
    """Separated by " | "."""

    seconds: float | None = None
    """From opening the file to the last output, seconds."""

    model_version: str = ""

    error: str = ""
    """What was wrong with an input that could not be segmented."""

    input: str = ""
    """The file or folder as it was given."""


def result_dict(volume: Volume, segmentation: Segmentation) -> dict[str, Any]:
    """A result as plain, JSON-ready values.

    Volumes are in mL, lengths in mm, positions RAS+, slices counted from 0 on the array axis closest to
    superior-inferior, latencies in seconds.
    """
    model, measurement = segmentation.model, segmentation.measurement
    return {
        "case_id": volume.case_id,
        "volume_ml": _rounded(measurement.volume_ml),
        "lesions": [_lesion_dict(lesion) for lesion in measurement.lesions],
        "labels": LABELS,
        "model": {"name": model.name, "version": model.version, "checksum": model.checksum},
        "warnings": list(dict.fromkeys((*volume.warnings, *segmentation.warnings))),
        "latencies_s": {stage: _rounded(seconds) for stage, seconds in segmentation.latencies.items()},
        "image": {
            "source": volume.source,
            "shape": list(volume.shape),
            "spacing_mm": [_rounded(mm) for mm in volume.spacing],
            "spacing_known": volume.spacing_known,
        },
        "software": {"name": "amd-das", "version": __version__},
        "notice": RESEARCH_NOTICE,
    }


def result_row(result: Mapping[str, Any], *, seconds: float, source: str = "") -> SummaryRow:
    """The CSV row of one :func:`result_dict`; ``source`` is the file or folder as it was given."""
    largest = result["lesions"][0] if result["lesions"] else {}
    return SummaryRow(
        case=result["case_id"],
        status="ok",
        volume_ml=result["volume_ml"],
        n_lesions=len(result["lesions"]),
        largest_ml=largest.get("volume_ml"),
        abc2_ml=largest.get("abc2_ml"),
        warnings=" | ".join(result["warnings"]),
        seconds=_rounded(seconds),
        model_version=result["model"]["version"],
        input=source,
    )


def failed_row(case: str, error: str, *, seconds: float, source: str = "") -> SummaryRow:
    """The CSV row of an input that could not be segmented."""
    return SummaryRow(
        case=case,
        status="error",
        seconds=_rounded(seconds),
        error=" ".join(error.split()),
        input=source,
    )


def write_json(record: Mapping[str, Any], path: Path) -> Path:
    """Write a record as UTF-8 JSON; the file appears complete or not at all. Returns ``path``."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return write_whole(path, (text + "\n").encode())


def write_summary(rows: Iterable[SummaryRow], path: Path) -> Path:
    """Write the table of a run as UTF-8 CSV with a header; the file is replaced whole. Returns ``path``."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(field.name for field in fields(SummaryRow))
    writer.writerows(astuple(row) for row in rows)
    return write_whole(path, buffer.getvalue().encode())


def _lesion_dict(lesion: Lesion) -> dict[str, Any]:
    a, b, c = (_rounded(mm, 1) for mm in lesion.diameters_mm)
    return {
        **asdict(lesion),
        "volume_ml": _rounded(lesion.volume_ml),
        "abc2_ml": _rounded(lesion.abc2_ml),
        "diameters_mm": {"a": a, "b": b, "c": c},
        "mean_hu": _rounded(lesion.mean_hu, 1),
        "bounding_slices": list(lesion.bounding_slices),
        "centroid_mm": [_rounded(mm, 1) for mm in lesion.centroid_mm],
    }


def _rounded(value: float, digits: int = 3) -> float:
    """A plain float without digits nobody measured."""
    return round(float(value), digits)
