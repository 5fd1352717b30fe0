"""An earlier result of the same patient, and what became of the hemorrhage since."""

from dataclasses import dataclass
from typing import Final

EXPANSION_ML: Final = 6.0
EXPANSION_PERCENT: Final = 33.0
"""More of either is the usual definition of hematoma expansion (Dowlatshahi et al. 2011)."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """An earlier CT of the patient with a result of ours."""

    volume_ml: float
    ct_date: str
    """YYYYMMDD."""

    ct_time: str
    """HHMMSS, empty if unknown."""

    study_uid: str
    series_uid: str


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """Change of the whole volume since a prior CT."""

    change_ml: float

    percent: float | None
    """Of the prior volume; None where that was 0."""

    expanded: bool
    """By more than 6 mL or more than 33 %; a hemorrhage that is new counts from the first mL above 0."""


def expansion(now_ml: float, prior: Prior) -> Expansion:
    """Compare today's volume with that of a prior CT."""
    change = round(now_ml - prior.volume_ml, 6)  # so that exactly 33 % is not 33.00000000000001 %
    percent = round(100.0 * change / prior.volume_ml, 6) if prior.volume_ml > 0 else None
    relative = change > 0 if percent is None else percent > EXPANSION_PERCENT
    return Expansion(change_ml=change, percent=percent, expanded=change > EXPANSION_ML or relative)
