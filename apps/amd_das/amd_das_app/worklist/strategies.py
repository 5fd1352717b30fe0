"""How the next scan is chosen, as MONAI Label's strategies: each ranks those that are free for the annotator."""

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from amd_das_app.worklist.case_scores import CaseRow, CaseScores

logger = logging.getLogger(__name__)

Rank = Callable[[CaseRow], float | None]
"""Greater comes first; None where it is not known yet."""


def _volume(row: CaseRow) -> float | None:
    return row.volume_ml


def _uncertainty(row: CaseRow) -> float | None:
    return row.uncertainty


def _distance(row: CaseRow) -> float | None:
    return row.distance


RANKS: Final[Mapping[str, tuple[str, Rank]]] = {
    "largest_first": ("The largest predicted bleed first: the urgent ones on top", _volume),
    "uncertain": ("What the model is least sure of first: the most is learnt from it", _uncertainty),
    "diverse": ("What is least like the scans labelled so far first", _distance),
}
"""By name, in the order in which clients show them; the first is their default."""


class Ranked(Strategy):  # type: ignore[misc]  # MONAI Label carries no types
    """The free scan of the greatest rank; those not scored yet come after the others, by name."""

    def __init__(self, description: str, cases: CaseScores, version: Callable[[], str], rank: Rank) -> None:
        super().__init__(description)
        self._cases, self._version, self._rank = cases, version, rank

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """``{"id": …, "weight": its rank}``, or None."""
        rows = {row.image: row for row in self._cases.rows(datastore, self._version())}

        def key(image: str) -> tuple[bool, float, str]:
            rank = self._rank(rows[image]) if image in rows else None
            return (rank is None, -(rank or 0.0), image)

        chosen = take(self._cases, request, datastore, lambda free: min(free, key=key))
        if chosen is None:
            return None
        return {"id": chosen, "weight": self._rank(rows[chosen]) if chosen in rows else None}


class Plain(Strategy):  # type: ignore[misc]
    """A free scan whatever is known of it."""

    def __init__(self, description: str, cases: CaseScores, choose: Callable[[list[str]], str]) -> None:
        super().__init__(description)
        self._cases, self._choose = cases, choose

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """``{"id": …}``, or None."""
        chosen = take(self._cases, request, datastore, self._choose)
        return {"id": chosen} if chosen is not None else None


def take(
    cases: CaseScores, request: Mapping[str, Any], datastore: Datastore, choose: Callable[[list[str]], str]
) -> str | None:
    """Hand a scan without label to the annotator who asks: ``client_id``, as 3D Slicer sends it."""
    unlabelled = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
    annotator = str(request.get("client_id") or "")[:200]
    return cases.turns.take(annotator, unlabelled, choose)


def make_strategies(cases: CaseScores, version: Callable[[], str]) -> dict[str, Strategy]:
    """All of them; ``version`` names the model in use, "" without one."""
    ranked = {name: Ranked(words, cases, version, rank) for name, (words, rank) in RANKS.items()}
    return {
        **ranked,
        "random": Plain("Any scan", cases, random.choice),
        "first": Plain("By name", cases, min),
    }
