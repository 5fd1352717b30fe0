"""Where a version fails, from the report of ``amd-das benchmark`` or ``amd-das evaluate``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amd_das.errors import NotFoundError, UnreadableError
from amd_das.model_card.data_sets import cell

WORST: Final = 5
"""Cases of each kind that are listed."""

_SUBTYPES: Final = {"iph": "IPH", "edh": "EDH", "ivh": "IVH", "sah": "SAH", "sdh": "SDH", "none": "no hemorrhage"}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What a report says of one version."""

    date: str
    summary: Mapping[str, Any]
    """As JSON of :class:`amd_das.evaluation.summary.ModelSummary`."""

    cases: Sequence[Mapping[str, Any]]
    """Each with its volumes, Dice and subtypes."""


def read_benchmark(path: Path, version: str, checksum: str) -> Benchmark:
    """The part of a ``report.json`` that is about a version.

    Raises:
        UnreadableError: it is no such report, or one of other weights.
        NotFoundError: it is not there, or says nothing of the version.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        models, cases = dict(report["models"]), list(report["cases"])
    except FileNotFoundError:
        raise NotFoundError(f"no report {path}; expected the report.json that amd-das benchmark writes") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(
            f"{path} is no report ({type(error).__name__}: {error}); expected the report.json that amd-das benchmark "
            "writes"
        ) from error
    if version not in models:
        listed = ", ".join(models) or "nothing"
        raise NotFoundError(f"{path} is about {listed}; expected {version}: amd-das benchmark {version} …")
    known = report.get("checksums", {}).get(version, checksum)
    if known != checksum:
        raise UnreadableError(f"{path} is about other weights of the name {version}; run amd-das benchmark again")
    try:
        found = Benchmark(
            date=str(report.get("date", "")),
            summary=models[version],
            cases=[case for case in cases if case["model"] == version],
        )
        section(found, named=True)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(
            f"{path} lacks what a card needs ({type(error).__name__}: {error}); run amd-das benchmark again"
        ) from error
    return found


def section(benchmark: Benchmark, *, named: bool) -> str:
    """Markdown: scores, subtypes, worst cases. Without ``named`` cases go by number: a name may tell a patient."""
    overall = benchmark.summary["overall"]
    measures = overall["measures"]
    lines = [
        f"Of {overall['bleeds']} scans with a bleed and {overall['negatives']} without, {benchmark.date} "
        "(`amd-das benchmark`; mean and 95 % interval over scans):",
        "",
        "| | |",
        "|---|---|",
        f"| bleeds found | {overall['found']} of {overall['bleeds']} |",
        f"| Dice | {_estimate(measures['dice'], 3)} |",
        f"| volume bias, mL | {_estimate(measures['volume_bias_ml'], 2)} |",
        f"| negatives with a false alarm | {overall['false_alarms']} of {overall['negatives']} |",
        f"| false positives on negatives, mL | {_estimate(measures['false_positive_ml'], 2)} |",
        f"| largest of them, mL | {_number(overall['worst_false_positive_ml'], 2)} |",
        "",
        *_subtypes(benchmark.summary["by"].get("subtype", {})),
        *_worst_bleeds(benchmark.cases, named=named),
        *_worst_negatives(benchmark.cases, named=named),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _subtypes(parts: Mapping[str, Any]) -> list[str]:
    if not parts:
        return ["The kinds of hemorrhage in these scans were not told, so nothing is said by subtype.", ""]
    rows = [
        "By kind of hemorrhage; a scan of several kinds is in each, and only IPH is meant to be outlined:",
        "",
        "| kind | bleeds found | Dice | negatives with a false alarm | false positives, mL |",
        "|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        dice, false = (_number(part["measures"][key]["mean"], digits) for key, digits in _SHOWN)
        found = f"{part['found']} of {part['bleeds']}" if part["bleeds"] else "–"
        alarms = f"{part['false_alarms']} of {part['negatives']}" if part["negatives"] else "–"
        rows.append(f"| {_SUBTYPES.get(name, name)} | {found} | {dice} | {alarms} | {false} |")
    return [*rows, ""]


_SHOWN: Final = (("dice", 3), ("false_positive_ml", 2))


def _worst_bleeds(cases: Sequence[Mapping[str, Any]], *, named: bool) -> list[str]:
    bleeds = sorted((case for case in cases if case["lesions_ref"]), key=lambda case: case["dice"] or 0.0)[:WORST]
    if not bleeds:
        return []
    rows = [
        "Worst bleeds, by Dice:",
        "",
        "| case | kinds | reference, mL | prediction, mL | Dice |",
        "|---|---|---|---|---|",
    ]
    for number, case in enumerate(bleeds, start=1):
        volumes = f"{_number(case['volume_ml_ref'], 1)} | {_number(case['volume_ml_pred'], 1)}"
        name = cell(case["case"]) if named else str(number)
        rows.append(f"| {name} | {_kinds(case)} | {volumes} | {_number(case['dice'] or 0.0, 3)} |")
    return [*rows, ""]


def _worst_negatives(cases: Sequence[Mapping[str, Any]], *, named: bool) -> list[str]:
    false = [case for case in cases if not case["lesions_ref"] and case["volume_ml_pred"]]
    worst = sorted(false, key=lambda case: -case["volume_ml_pred"])[:WORST]
    if not worst:
        return []
    rows = ["Worst false alarms:", "", "| case | kinds | prediction, mL |", "|---|---|---|"]
    for number, case in enumerate(worst, start=1):
        name = cell(case["case"]) if named else str(number)
        rows.append(f"| {name} | {_kinds(case)} | {_number(case['volume_ml_pred'], 2)} |")
    return [*rows, ""]


def _kinds(case: Mapping[str, Any]) -> str:
    return ", ".join(_SUBTYPES.get(name, name) for name in case["subtypes"]) or "not told"


def _estimate(one: Mapping[str, Any], digits: int) -> str:
    if not one["n"]:
        return "–"
    low, high = one["low"], one["high"]
    interval = f" [{_number(low, digits)} to {_number(high, digits)}]" if low is not None else ""
    return f"{_number(one['mean'], digits)}{interval}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
