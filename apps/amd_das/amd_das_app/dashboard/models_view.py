"""What the dashboard says of the model's versions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from markdown import markdown
from markupsafe import Markup

from amd_das.errors import ModelError
from amd_das.models import CARD, RECORD, ModelInfo, list_versions, read_info
from amd_das_app.dashboard.words import humanised, number

NOTHING: Final = "not recorded"
NAMES: Final[Mapping[str, str]] = {
    "held_out_bleeds": "Held-out scans with a bleed",
    "held_out_without": "Held-out scans without a bleed",
    "phantom_bleeds": "Phantom heads with a bleed",
    "phantom_without": "Phantom heads without a bleed",
    "champion_mean_dice": "Mean Dice of the model before",
    "pseudo_ct_dice": "Dice on pseudo-CT",
    "champion_pseudo_ct_dice": "Dice on pseudo-CT of the model before",
    "dice_gain": "Change of Dice",
    "dice_gain_at_least": "Change of Dice, at least",
    "false_ml": "False positives where there is no bleed, mL",
    "champion_false_ml": "The same of the model before, mL",
    "positives": "Scans with a bleed",
    "negatives": "Scans without a bleed",
    "largest_false_ml_on_negatives": "Largest false positive where there is no bleed, mL",
}
"""A record's key → what people call it."""

_SAID_ELSEWHERE: Final = frozenset({"reason", "published"})

_EMPTY_HEAD: Final = re.compile(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>")
"""Markdown has no table without a head; a card's two columns need none."""

_DATE: Final = len("2026-01-01")


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """One version."""

    version: str
    in_use: bool
    newer: bool = False
    """Than the one in use, so that taking it up is no way back."""

    origin: str = ""
    """How it came to be."""

    dice: str = ""
    """Mean Dice, and of what."""

    before: str = ""
    """The same of the model it was compared with."""

    reason: str = ""
    """Why it was published, or was not."""

    kept: bool = False
    """Whether it was made and then not published."""

    metrics: tuple[tuple[str, str], ...] = ()
    """All that was measured: name, value."""

    training: tuple[tuple[str, str], ...] = ()
    """How it was trained: name, value."""

    error: str = ""
    """Why its record cannot be read."""


def versions(model_dir: Path, current: str | None) -> list[VersionView]:
    """All versions, the newest first."""
    names = sorted(list_versions(model_dir), key=lambda name: (name[:_DATE], _made(model_dir, name)))
    place = names.index(current) if current in names else -1
    return [_view(model_dir, name, in_use=name == current, newer=number > place) for number, name in enumerate(names)][
        ::-1
    ]


def one_version(model_dir: Path, version: str, current: str | None) -> VersionView | None:
    """One version; None when it is not there."""
    return next((view for view in versions(model_dir, current) if view.version == version), None)


def card(model_dir: Path, version: str) -> Markup:
    """The version's card as HTML; what HTML it holds itself is shown as text."""
    try:
        text = (model_dir / "versions" / version / CARD).read_text()
    except OSError:
        return Markup("<p>This version has no card.</p>")
    lowered = re.sub(r"^#", "##", escape(text, quote=False), flags=re.MULTILINE)  # the page's own title is above it
    return Markup(_EMPTY_HEAD.sub("", markdown(lowered, extensions=["tables"])))


def _view(model_dir: Path, version: str, *, in_use: bool, newer: bool) -> VersionView:
    try:
        info = read_info(model_dir, version)
    except ModelError as error:
        return VersionView(version=version, in_use=in_use, newer=newer, error=str(error))
    metrics = info.metrics
    return VersionView(
        version=version,
        in_use=in_use,
        newer=newer,
        origin=_origin(info),
        dice=_dice(metrics),
        before=number(metrics.get("champion_mean_dice")),
        reason=_sentence(str(metrics.get("reason") or "")),
        kept=metrics.get("published") is False,
        metrics=_rows(metrics),
        training=_rows(info.training),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _made(model_dir: Path, version: str) -> float:
    """When its record was written, seconds since the epoch: the name tells the day alone."""
    try:
        return (model_dir / "versions" / version / RECORD).stat().st_mtime
    except OSError:
        return 0.0


def _origin(info: ModelInfo) -> str:
    training = info.training
    if base := training.get("fine_tuned_from"):
        return f"Fine-tuned from {base} on {training.get('data', 'corrected scans')}"
    if base := training.get("adapted_from"):
        return f"Adapted from {base} to {training.get('data', 'CT without labels')}"
    if training.get("uploaded"):
        return f"Uploaded; replaced {training.get('replaces', 'an earlier version')}"
    return str(training.get("data") or NOTHING)


def _dice(metrics: Mapping[str, Any]) -> str:
    mean = number(metrics.get("mean_dice"))
    if not mean:
        return ""
    phantoms = metrics.get("phantom_bleeds")
    count, what = (metrics.get("held_out_bleeds", metrics.get("positives")), "scan")
    if phantoms is not None:
        count, what = phantoms, "phantom head"
    return f"{mean} on {count} {what}{'' if count == 1 else 's'} with a bleed" if count is not None else mean


def _rows(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What is not nested, in the record's order."""
    return tuple(
        (NAMES.get(name) or humanised(name), number(value) if isinstance(value, float) else str(value))
        for name, value in record.items()
        if isinstance(value, str | int | float) and value != "" and name not in _SAID_ELSEWHERE
    )
