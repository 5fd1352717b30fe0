"""A verdict as it is acted upon and recorded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from amd_das.comparison.rule import Verdict
from amd_das.models import current_version


def as_it_stands(verdict: Verdict, champion: str, model_dir: Path) -> Verdict:
    """The verdict, which is no more than a record where another version than the champion is in use by now."""
    now = current_version(model_dir)
    if not verdict.publish or now == champion:
        return verdict
    reason = f"{now} was put to use meanwhile, and it was compared with {champion}; {verdict.reason}"
    return replace(verdict, publish=False, reason=reason)


def metrics_of(verdict: Verdict, champion: str) -> dict[str, Any]:
    """For the version's record, where the card, the dashboard and ``amd-das models`` find it."""
    return {
        **verdict.numbers,
        "champion": {"version": champion},
        "published": verdict.publish,
        "reason": verdict.reason,
    }
