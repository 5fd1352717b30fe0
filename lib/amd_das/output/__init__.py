"""What a user gets to see of a result: the overlay picture, the JSON record and the table of a run."""

from amd_das.output.overlay import render_overlay, write_overlay
from amd_das.output.summary import SummaryRow, failed_row, result_dict, result_row, write_json, write_summary

__all__ = [
    "SummaryRow",
    "failed_row",
    "render_overlay",
    "result_dict",
    "result_row",
    "write_json",
    "write_overlay",
    "write_summary",
]
