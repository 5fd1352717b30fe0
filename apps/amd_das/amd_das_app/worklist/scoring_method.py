"""The scoring task ``dice_volume``: the automatic outline against the final label, for each scan that has one."""

from collections.abc import Mapping
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

SCORING_NAME: Final = "dice_volume"


class DiceVolume(ScoringMethod):  # type: ignore[misc]
    """Listed by ``/info/``; the server's own scorer does the work (see routes/worklist.py)."""

    def __init__(self) -> None:
        super().__init__("Dice, HD95 and volume error of the automatic outline against the final label")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Nothing to do: scans are scored as soon as they are labelled."""
        return {}
