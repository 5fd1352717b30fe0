"""Correcting a mask by clicks and strokes."""

from amd_das.interaction.config import InteractionConfig
from amd_das.interaction.correction import Corrector
from amd_das.interaction.evidence import Evidence, gather
from amd_das.interaction.marks import MarkError, Marks, from_clicks, from_strokes

__all__ = ["Corrector", "Evidence", "InteractionConfig", "MarkError", "Marks", "from_clicks", "from_strokes", "gather"]
