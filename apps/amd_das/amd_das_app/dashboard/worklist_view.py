"""What the dashboard says of the scans: which are open, how much they bleed, how well outlines agree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from amd_das_app.dashboard.words import millilitres, signed
from amd_das_app.pacs.listing import Listing
from amd_das_app.pages.series_list import moment, series_address
from amd_das_app.worklist.case_scores import CaseRow

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "new": ("new", "busy"),
    "taken": ("taken", "warn"),
    "skipped": ("skipped", ""),
    "labelled": ("labelled", "good"),
}
"""A row's status → word and kind of badge."""

OPEN: Final = ("new", "taken")
"""What can be looked at next, and be skipped."""

ORDERS: Final[Mapping[str, str]] = {
    "volume": "Largest bleed first",
    "uncertainty": "Most uncertain first",
    "image": "By name",
}
"""How the list can be sorted."""

SHOWN: Final = 50
"""Rows of a page (ours)."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user has chosen to see."""

    order: str = "volume"
    status: str = ""
    """One of STATES; empty for all."""

    text: str = ""
    """Part of the scan's id or name."""

    page: int = 1


@dataclass(frozen=True, kw_only=True)
class CaseName:
    """What people call a scan."""

    title: str
    address: str = ""
    """Of its page; empty where it has none."""


def names_in_pacs(listing: Listing) -> dict[str, CaseName]:
    """Date and description of each series, and nothing of the patient: a UID says little to people."""
    return {
        image: CaseName(
            title=f"{series.description or 'CT'}, {moment(series.study_date, series.study_time)}",
            address=series_address(series),
        )
        for image, series in listing.images.items()
    }


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One scan."""

    image: str
    title: str
    address: str
    state: str
    badge: str
    annotator: str
    volume: str
    lesions: int | None
    uncertainty: str
    dice: str
    error: str
    has_thumbnail: bool
    is_open: bool
    """Whether it can be skipped."""

    is_held: bool
    """Whether somebody has it, or it is skipped."""


@dataclass(frozen=True, kw_only=True)
class WorklistView:
    """The list."""

    cases: tuple[CaseView, ...]
    """Of this page."""

    found: int
    """That fit the wish."""

    pages: int
    wish: Wish
    counts: Mapping[str, int]
    """Scans by status."""

    scored: int
    version: str

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True)
class AgreementView:
    """Automatic against final outlines."""

    cases: tuple[tuple[str, str, str, str, str, str], ...]
    """Name, automatic, final, error, Dice, HD95."""

    mean_dice: str
    bias: str
    limits: str
    version: str
    key: str
    """Changes when a number does."""


def worklist(
    rows: Sequence[CaseRow], wish: Wish, version: str, names: Mapping[str, CaseName] = MappingProxyType({})
) -> WorklistView:
    """Sorted, those without a number last; a scan without a name goes by its id."""

    def name_of(row: CaseRow) -> CaseName:
        return names.get(row.image) or CaseName(title=row.image)

    counts = {state: sum(row.status == state for row in rows) for state in STATES}
    named = {row.image: f"{row.image} {name_of(row).title}".lower() for row in rows}
    fitting = [
        row for row in rows if (not wish.status or row.status == wish.status) and wish.text.lower() in named[row.image]
    ]
    pages = max(1, math.ceil(len(fitting) / SHOWN))
    page = min(max(wish.page, 1), pages)
    ranked = sorted(fitting, key=lambda row: _rank(row, wish.order))
    return WorklistView(
        cases=tuple(_case(row, name_of(row)) for row in ranked[(page - 1) * SHOWN : page * SHOWN]),
        found=len(fitting),
        pages=pages,
        wish=Wish(order=wish.order, status=wish.status, text=wish.text, page=page),
        counts=counts,
        scored=sum(row.volume_ml is not None or bool(row.error) for row in rows),
        version=version,
    )


def _rank(row: CaseRow, order: str) -> tuple[float, str]:
    value = {"volume": row.volume_ml, "uncertainty": row.uncertainty}.get(order)
    return (math.inf if value is None and order != "image" else -(value or 0.0), row.image)


def _case(row: CaseRow, name: CaseName) -> CaseView:
    state, badge = STATES[row.status]
    return CaseView(
        image=row.image,
        title=name.title,
        address=name.address,
        state=state,
        badge=badge,
        annotator=row.annotator,
        volume=millilitres(row.volume_ml),
        lesions=row.lesions,
        uncertainty="" if row.uncertainty is None else f"{row.uncertainty:.2f}",
        dice="" if row.dice is None else f"{row.dice:.2f}",
        error=row.error,
        has_thumbnail=row.has_thumbnail,
        is_open=row.status in OPEN,
        is_held=row.status in ("taken", "skipped"),
    )


def compared(rows: Sequence[CaseRow]) -> list[CaseRow]:
    """Those with an automatic and a final outline."""
    return [row for row in rows if row.volume_ml is not None and row.label_ml is not None]


def agreement(
    rows: Sequence[CaseRow], version: str, names: Mapping[str, CaseName] = MappingProxyType({})
) -> AgreementView:
    """Numbers beside the plots."""
    from amd_das.evaluation.plots import LIMITS_SD  # brings matplotlib

    both = compared(rows)
    errors = np.array([row.volume_error_ml for row in both], float)
    dice = [row.dice for row in both if row.dice is not None]
    limits = ""
    if len(errors) > 1:
        spread = LIMITS_SD * errors.std(ddof=1)
        limits = f"{signed(errors.mean() - spread)} to {signed(errors.mean() + spread)} mL"
    return AgreementView(
        cases=tuple(
            (
                names[row.image].title if row.image in names else row.image,
                millilitres(row.volume_ml),
                millilitres(row.label_ml),
                f"{signed(row.volume_error_ml or 0.0)} mL",
                "" if row.dice is None else f"{row.dice:.3f}",
                "" if row.hd95_mm is None else f"{row.hd95_mm:.1f} mm",
            )
            for row in sorted(both, key=lambda row: 2.0 if row.dice is None else row.dice)
        ),
        mean_dice=f"{np.mean(dice):.3f}" if dice else "",
        bias=f"{signed(errors.mean())} mL" if len(errors) else "",
        limits=limits,
        version=version,
        key=f"{hash(tuple((row.image, row.volume_ml, row.label_ml, row.dice) for row in both)) & 0xFFFFFFFF:08x}",
    )
