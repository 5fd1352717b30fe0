"""The matching mechanism: which MRI slices and CT slices look alike (section 3.1.4)."""

from amd_das.matching.pairs import MatchConfig, Matches, match
from amd_das.matching.sheet import render_sheet, write_sheet

__all__ = ["MatchConfig", "Matches", "match", "render_sheet", "write_sheet"]
