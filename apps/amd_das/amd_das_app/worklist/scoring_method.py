"""The scoring task ``dice_volume``: the automatic outline against the final label, for each scan that has one."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from amd_das_app.worklist.case_scores import CaseRow, CaseScores

SCORING_NAME: Final = "dice_volume"


class DiceVolume(ScoringMethod):  # type: ignore[misc]  # MONAI Label carries no types
    """Scans are compared by the server's scorer, as soon as they are labelled; this collects what it found."""

    def __init__(self, cases: CaseScores, version: Callable[[], str]) -> None:
        super().__init__("Dice, HD95 and volume error of the automatic outline against the final label")
        self._cases, self._version = cases, version

    def compared(self, datastore: Datastore) -> list[CaseRow]:
        """Labelled scans that were compared, also those where both outlines are empty and have no Dice."""
        rows = self._cases.rows(datastore, self._version())
        return [row for row in rows if row.status == "labelled" and row.label_ml is not None]

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Mean Dice, and each scan's numbers by id."""
        rows = self.compared(datastore)
        found = [row.dice for row in rows if row.dice is not None]
        names = ("dice", "hd95_mm", "volume_error_ml", "volume_ml", "label_ml")
        return {
            "model": self._version(),
            "mean_dice": sum(found) / len(found) if found else None,
            "cases": {row.image: {name: getattr(row, name) for name in names} for row in rows},
        }
